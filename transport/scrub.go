package transport

import (
	"html"
	"net/url"
	"strings"
	"unicode/utf8"
)

const (
	redacted = "[redacted]"
	// maxDetail is how much of the server's text an error keeps.
	maxDetail = 512
	// shortestCut is the shortest beginning of a secret that is removed from the end of a text. Shorter ones say nothing.
	shortestCut = 3
)

// scrub returns the beginning of a server's text with the secrets removed, in every spelling in which a server may repeat them: as they
// are, escaped as JSON (also twice), as a query, as a path or as HTML, and cut off at the end of the text. It scrubs before it
// truncates, so that truncating cannot hide a secret from it.
func scrub(s string, secrets []string) string {
	for range 3 {
		plain := unescapeJSON(s)
		if plain == s {
			break
		}
		s = plain
	}
	for _, secret := range secrets {
		for _, spelling := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), html.EscapeString(secret)} {
			if spelling == "" {
				continue
			}
			s = strings.ReplaceAll(s, spelling, redacted)
			for n := min(len(spelling)-1, len(s)); n >= shortestCut; n-- {
				if strings.HasSuffix(s, spelling[:n]) {
					s = s[:len(s)-n] + redacted
					break
				}
			}
		}
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxDetail {
		return s
	}
	cut := maxDetail
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// unescapeJSON resolves the escapes of JSON strings anywhere in s, leaving everything else as it is. It need not be exact, only
// show what a reader of the text would see. An escape that the end of the text cut off is dropped, since it may be a secret's next letter.
func unescapeJSON(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 == len(s) {
			break
		}
		i++
		switch s[i] {
		case 'u':
			if i+4 >= len(s) {
				return b.String()
			}
			r, ok := hex4(s[i+1 : i+5])
			if !ok {
				b.WriteString(`\u`)
				continue
			}
			b.WriteRune(r)
			i += 4
		case 'n', 'r', 't', 'b', 'f':
			b.WriteByte(' ')
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func hex4(s string) (r rune, ok bool) {
	for i := range len(s) {
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
