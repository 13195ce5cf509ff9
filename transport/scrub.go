package transport

import (
	"html"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	redacted = "[redacted]"
	// maxDetail is how much of the server's text an error keeps.
	maxDetail = 512
	// shortestCut is the shortest beginning of a secret that is removed from the end of a text. Shorter ones say nothing.
	shortestCut = 3
	// shortestPart is the shortest beginning of a secret that is removed wherever it stands: servers shorten what they repeat.
	shortestPart = 8
	// maxLayers is how often a text may be escaped and still be understood.
	maxLayers = 3
)

// scrub returns the beginning of a server's text with the secrets removed, in every spelling in which a server may repeat them: as they
// are, escaped as JSON (also several times), as a query, as a path or as HTML, shortened, and cut off at the end of the text. It scrubs
// before it truncates, so that truncating cannot hide a secret from it.
func scrub(s string, secrets []string) string {
	var b strings.Builder
	var sc scanner
	for i := 0; i < len(s); {
		n := 0
		for _, secret := range secrets {
			n = max(n, sc.spelled(s[i:], secret))
		}
		if n == 0 {
			b.WriteByte(s[i])
			i++
			continue
		}
		b.WriteString(redacted)
		i += n
	}
	s = strings.ToValidUTF8(b.String(), "\uFFFD")
	if len(s) <= maxDetail {
		return s
	}
	cut := maxDetail
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// scanner looks for secrets at the beginning of a text. It is kept between places of the text for its memory alone.
type scanner struct {
	places   []place
	readings []reading
}

// place is how far a secret and its spelling have been followed.
type place struct{ secret, text int }

// reading is one way to understand the beginning of a text: what it stands for and how long it is.
type reading struct {
	is    string
	width int
}

// spelled returns how much of the beginning of s spells the secret, or so much of the secret's beginning that it has to go.
//
// A character may be read in several ways when the secret itself holds a backslash, a percent sign or an ampersand, so all ways are followed.
func (sc *scanner) spelled(s, secret string) int {
	if secret == "" {
		return 0
	}
	width := 0
	sc.places = append(sc.places[:0], place{})
	for i := 0; i < len(sc.places); i++ {
		at := sc.places[i]
		rest := s[at.text:]
		switch {
		case at.secret == len(secret):
			width = max(width, at.text)
			continue
		case at.secret >= shortestCut && isCut(rest):
			return len(s)
		case at.secret >= shortestPart:
			width = max(width, at.text)
		case rest == "":
			continue
		}
		sc.read(rest)
		for _, r := range sc.readings {
			if !strings.HasPrefix(secret[at.secret:], r.is) {
				continue
			}
			next := place{at.secret + len(r.is), at.text + r.width}
			if !slices.Contains(sc.places[i+1:], next) {
				sc.places = append(sc.places, next)
			}
		}
	}
	return width
}

// read lists the ways to understand the beginning of s, which is not empty.
func (sc *scanner) read(s string) {
	sc.readings = append(sc.readings[:0], reading{s[:1], 1})
	switch s[0] {
	case '\\':
		sc.readJSON(s)
	case '%':
		sc.readPercent(s)
	case '&':
		sc.readEntity(s, 0)
	case '+':
		sc.readings = append(sc.readings, reading{" ", 1})
	}
}

// readJSON reads an escape of a JSON string. Escaping again doubles the backslashes and adds one for a quote, so any number of them may
// stand before the character.
func (sc *scanner) readJSON(s string) {
	slashes := len(s) - len(strings.TrimLeft(s, `\`))
	for n := 2; n <= min(slashes, 1<<maxLayers); n *= 2 {
		sc.readings = append(sc.readings, reading{`\`, n})
	}
	if slashes == len(s) {
		return
	}
	is, width := s[slashes:slashes+1], slashes+1
	switch is {
	case "n":
		is = "\n"
	case "r":
		is = "\r"
	case "t":
		is = "\t"
	case "b":
		is = "\b"
	case "f":
		is = "\f"
	case "u":
		r, ok := hexNumber(s[width:], 4)
		if !ok {
			return
		}
		width += 4
		if utf16.IsSurrogate(r) {
			second := s[width:]
			if !strings.HasPrefix(second, s[:slashes]+"u") {
				return
			}
			low, ok := hexNumber(second[slashes+1:], 4)
			if !ok {
				return
			}
			r = utf16.DecodeRune(r, low)
			width += slashes + 5
		}
		is = string(r)
	}
	sc.readings = append(sc.readings, reading{is, width})
}

// readPercent reads an escape of a URL. Escaping again writes %25 for the percent sign.
func (sc *scanner) readPercent(s string) {
	at := 1
	for range maxLayers {
		if c, ok := hexNumber(s[at:], 2); ok {
			sc.readings = append(sc.readings, reading{string([]byte{byte(c)}), at + 2})
		}
		if !strings.HasPrefix(s[at:], "25") {
			return
		}
		at += 2
	}
}

// readEntity reads a character reference of HTML. Escaping again writes &amp; for the ampersand.
func (sc *scanner) readEntity(s string, layer int) {
	end := strings.IndexByte(s[:min(len(s), maxEntity)], ';')
	if end < 0 {
		return
	}
	is := html.UnescapeString(s[:end+1])
	if is == s[:end+1] {
		return
	}
	sc.readings = append(sc.readings, reading{is, end + 1})
	if is == "&" && layer < maxLayers {
		before := len(sc.readings)
		sc.readEntity("&"+s[end+1:min(len(s), end+1+maxEntity*maxLayers)], layer+1)
		for i := before; i < len(sc.readings); i++ {
			sc.readings[i].width += end
		}
	}
}

// maxEntity is longer than any character reference that a server writes for the characters of a key.
const maxEntity = 12

// isCut reports whether nothing is left of a text, or nothing but an escape that its end cut off.
func isCut(s string) bool {
	if s == "" {
		return true
	}
	const hexDigits, letters = "0123456789abcdefABCDEF", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	switch s[0] {
	case '\\':
		after := strings.TrimLeft(s, `\`)
		slashes := len(s) - len(after)
		if after == "" || after == "u" {
			return true
		}
		first, second := after[1:min(len(after), 5)], after[min(len(after), 5):]
		if after[0] != 'u' || strings.Trim(first, hexDigits) != "" {
			return false
		}
		if r, ok := hexNumber(first, 4); ok && !utf16.IsSurrogate(r) {
			return false
		}
		return len(second) < slashes+5 && strings.Trim(second, `\u`+hexDigits) == ""
	case '%':
		after := strings.TrimPrefix(strings.TrimPrefix(s[1:], "25"), "25")
		return len(after) < 2 && strings.Trim(after, hexDigits) == ""
	case '&':
		after := strings.TrimPrefix(strings.TrimPrefix(s[1:], "amp;"), "amp;")
		return len(after) < maxEntity && strings.Trim(after, "#0123456789"+letters) == ""
	default:
		return false
	}
}

// hexNumber reads the first digits of s as a hexadecimal number.
func hexNumber(s string, digits int) (r rune, ok bool) {
	if len(s) < digits {
		return 0, false
	}
	for i := range digits {
		c := s[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
