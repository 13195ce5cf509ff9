package transport

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// spellings is how servers repeat what they were sent.
var spellings = []struct {
	name string
	of   func(string) string
}{
	{"plain", func(s string) string { return s }},
	{"JSON", jsonEscape},
	{"JSON twice", func(s string) string { return jsonEscape(jsonEscape(s)) }},
	{"JSON three times", func(s string) string { return jsonEscape(jsonEscape(jsonEscape(s))) }},
	{"JSON in numbers", jsonNumbers},
	{"JSON in capital numbers", capitalNumbers},
	{"JSON in numbers twice", func(s string) string { return jsonEscape(jsonNumbers(s)) }},
	{"query", url.QueryEscape},
	{"path", url.PathEscape},
	{"every byte of a URL", percentAll},
	{"URL in lower case", func(s string) string { return strings.ToLower(percentAll(s)) }},
	{"URL twice", func(s string) string { return url.QueryEscape(percentAll(s)) }},
	{"HTML", html.EscapeString},
	{"HTML in numbers", func(s string) string { return entities(s, "&#%d;") }},
	{"HTML in hexadecimal", func(s string) string { return entities(s, "&#x%X;") }},
	{"HTML twice", func(s string) string { return html.EscapeString(entities(s, "&#%d;")) }},
	{"HTML by name", func(s string) string {
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;").Replace(s)
	}},
}

func jsonEscape(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b[1 : len(b)-1])
}

func jsonNumbers(s string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, `\u%04x`, unit)
	}
	return b.String()
}

func capitalNumbers(s string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, `\u%04X`, unit)
	}
	return b.String()
}

func percentAll(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

func entities(s, format string) string {
	var b strings.Builder
	for _, r := range s {
		fmt.Fprintf(&b, format, r)
	}
	return b.String()
}

// secretTexts are keys as they are, and as they should not be but might.
var secretTexts = []struct{ name, text string }{
	{"digits", "5b2c9f0e-77aa-4d0e-9a51-0c3f1f2b6d10"},
	{"base64", "q+7/Zx0w9+Kd/aa=="},
	{"quotes", `k"e'y<1>&2 3`},
	{"backslashes", `k\\e\y\n\u0041`},
	{"percent", "100%25 %41%zz+"},
	{"entity", "a&amp;b&#39;c"},
	{"letters outside of ASCII", "clé-🔑-ключ"},
	{"repeating", "abababababc"},
	{"four letters", "zzzq"},
}

func TestScrub(t *testing.T) {
	t.Parallel()
	for _, secret := range secretTexts {
		for _, spelling := range spellings {
			t.Run(secret.name+" as "+spelling.name, func(t *testing.T) {
				t.Parallel()
				spelled := spelling.of(secret.text)
				got := scrub("client secret "+spelled+" is wrong", []string{"another secret", secret.text})
				if got != "client secret [redacted] is wrong" {
					t.Errorf("whole: %q of %q", got, spelled)
				}
				for cut := range len(spelled) {
					got := scrub("key="+spelled[:cut], []string{secret.text})
					shown := strings.TrimPrefix(got, "key=")
					if shown == "[redacted]" {
						continue
					}
					// What is shown may be the beginning of the secret only while it is too short to matter.
					if !strings.HasPrefix(spelled, strings.TrimSuffix(shown, "\uFFFD")) || told(spelled[:cut], spelling.of, secret.text) >= shortestCut {
						t.Errorf("cut at %d: %q of %q", cut, got, spelled[:cut])
					}
				}
			})
		}
	}
}

// told counts the bytes of the secret that a cut spelling tells.
func told(cut string, of func(string) string, secret string) int {
	n := 0
	for i := range secret {
		if strings.HasPrefix(cut, of(secret[:i])) {
			n = i
		}
	}
	return n
}

func TestScrubSeveral(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		text    string
		secrets []string
		want    string
	}{
		{"nothing", "", []string{"secret-one"}, ""},
		{"no secrets", "a text", nil, "a text"},
		{"empty secret", "a text", []string{""}, "a text"},
		{"two", "secret-one, secret-two", []string{"secret-one", "secret-two"}, "[redacted], [redacted]"},
		{"one within another", "a secret-one-b", []string{"secret", "secret-one-b"}, "a [redacted]"},
		{"again and again", "secretsecretsecret", []string{"secret"}, "[redacted][redacted][redacted]"},
		{"starting again", "abababcab", []string{"ababc"}, "ab[redacted]ab"},
		{"shortened", `key "5b2c9f0e-77…" is wrong`, []string{"5b2c9f0e-77aa-4d0e"}, `key "[redacted]…" is wrong`},
		{"a few letters by chance", `use 5b2c instead`, []string{"5b2c9f0e-77aa-4d0e"}, `use 5b2c instead`},
		{"a few letters at the end", `use 5b2`, []string{"5b2c9f0e-77aa-4d0e"}, `use [redacted]`},
		{"two letters at the end", `use 5b`, []string{"5b2c9f0e-77aa-4d0e"}, `use 5b`},
		{"not UTF-8", "a\xffb", []string{"secret"}, "a\uFFFDb"},
		{"other escapes stay", `{"message":"\u00e9 100% &amp; \\ \/"}`, []string{"secret"}, `{"message":"\u00e9 100% &amp; \\ \/"}`},
		{"escapes in turns", `se\u0063re%74`, []string{"secret"}, "[redacted]"},
		{"half a surrogate", `se\ud83d`, []string{"se🔑"}, `se\ud83d`},
		{"half a surrogate and a letter", `sec\ud83dx`, []string{"sec🔑"}, `sec\ud83dx`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := scrub(tt.text, tt.secrets); got != tt.want {
				t.Errorf("scrub = %q, want %q", got, tt.want)
			}
		})
	}
}

// TestScrubTruncates moves a secret over the place where the text is cut.
func TestScrubTruncates(t *testing.T) {
	t.Parallel()
	const secret = "5b2c9f0e-77aa-4d0e-9a51-0c3f1f2b6d10"
	for before := maxDetail - 2*len(secret); before < maxDetail+len(secret); before++ {
		got := scrub(strings.Repeat("é", before/2)+strings.Repeat(".", before%2)+secret+strings.Repeat("x", maxDetail), []string{secret})
		if strings.Contains(got, secret[:4]) {
			t.Errorf("%d bytes before: %q", before, got)
		}
		if len(got) > maxDetail+len("…") || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
			t.Errorf("%d bytes before: %d bytes, %q", before, len(got), got)
		}
	}
}

func FuzzScrub(f *testing.F) {
	for _, secret := range secretTexts {
		for i := range spellings {
			f.Add("before ", secret.text, " after", uint8(i), uint16(30))
		}
	}
	f.Add(`\`, `\\\\`, `\u005c`, uint8(2), uint16(3))
	f.Add("%", "%25%25", "%2525", uint8(11), uint16(7))
	f.Fuzz(func(t *testing.T, before, secret, after string, spelling uint8, cut uint16) {
		// A secret of the letters of the mark itself would be found in the mark.
		if len(secret) < 4 || !utf8.ValidString(secret) || strings.ContainsAny(secret, "[]…\uFFFD") || strings.Contains(redacted, secret) {
			return
		}
		spelled := spellings[int(spelling)%len(spellings)].of(secret)
		text := before + spelled + after
		text = text[:min(len(text), int(cut)+len(before))]
		got := scrub(text, []string{secret})
		if strings.Contains(got, secret) && !strings.Contains(got, "…") {
			t.Errorf("%q of %q holds the secret", got, text)
		}
		if len(got) > maxDetail+len("…") || !utf8.ValidString(got) {
			t.Errorf("%d bytes, %q", len(got), got)
		}
		if before == "" && after == "" && len(text) == len(spelled) && got != redacted {
			t.Errorf("%q of the secret alone", got)
		}
		if strings.HasSuffix(got, "…") {
			return
		}
		for n := 4; n < len(secret); n++ {
			if utf8.ValidString(secret[:n]) && strings.HasSuffix(got, secret[:n]) {
				t.Errorf("%q ends with %d bytes of the secret", got, n)
			}
		}
	})
}
