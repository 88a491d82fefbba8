package secret

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Redacted stands where a secret was.
const Redacted = "REDACTED"

// Redact returns text without secrets: those that [Add] made known, by their value in any
// usual encoding, even in part; and what has the form of one (a signature or key in a URL,
// an Authorization header, a password before a host), also URL-encoded, in JSON, and
// behind a #. JSON stays JSON.
func Redact(text string) string { return redactForms(redactValues(text)) }

// Cut returns text without secrets and, if it is longer than that many characters, its
// beginning. No part of a secret is left at the cut, nor at the end of text, which may
// have been cut before.
func Cut(text string, runes int) string {
	text = redactTail(Redact(text))
	if utf8.RuneCountInString(text) <= runes {
		return text
	}
	return string([]rune(text)[:runes]) + " [...]"
}

// redactTail removes the beginning of a secret that is the end of text.
func redactTail(text string) string {
	known.RLock()
	defer known.RUnlock()
	for i := max(0, len(text)-window+1); i+headLength <= len(text); i++ {
		if !known.heads[text[i:i+headLength]] {
			continue
		}
		if slices.ContainsFunc(known.all, func(s string) bool { return strings.HasPrefix(s, text[i:]) }) {
			return text[:i] + Redacted
		}
	}
	return text
}

func redactValues(text string) string {
	known.RLock()
	defer known.RUnlock()
	for _, short := range known.short {
		text = strings.ReplaceAll(text, short, Redacted)
	}
	if len(known.grams) == 0 || len(text) < window {
		return text
	}
	var b strings.Builder
	done, from, to := 0, -1, 0 // text[from:to] is a run of secrets, if from is not -1
	flush := func() {
		if from < 0 {
			return
		}
		for from > done && text[from-1] == '\\' { // half an escape would be left
			from--
		}
		if escapes := to - len(strings.TrimRight(text[from:to], `\`)) - from; escapes%2 == 1 && to < len(text) {
			to++
		}
		b.WriteString(text[done:from])
		b.WriteString(Redacted)
		done, from = to, -1
	}
	for i := range len(text) - window + 1 {
		if !known.begin[beginning(text, i)] {
			continue
		}
		if _, hit := known.grams[gram([]byte(text[i:i+window]))]; !hit {
			continue
		}
		const gap = 6 // a character in another encoding
		if from >= 0 && i > to+gap {
			flush()
		}
		if from < 0 {
			from = max(i, done)
		}
		to = i + window
	}
	flush()
	if done == 0 {
		return text
	}
	b.WriteString(text[done:])
	return b.String()
}

// Parts of the patterns. What they keep is in groups; what is redacted stands outside.
const (
	before    = `(^|[^0-9A-Za-z]|%(?:25)*(?:2[0236cC]|3[bBfF]|5[bB]|7[bB])|\\u00(?:2[036]|3[bBfF])|\\[nrt])`
	beforeKey = `(^|[^0-9A-Za-z_/.-]|%(?:25)*(?:2[0236cC]|3[bBfF]|5[bB]|7[bB])|\\u00(?:2[036]|3[bBfF])|\\[nrt])`
	equals    = `(?:=|%(?:25)*3[dD]|\\u003[dD]|&#61;|&#x3[dD];)`
	colons    = `(?:=>?|:|%(?:25)*3[aAdD]|\\u003[aAdD]|&#61;|&#x3[dD];)`
	quote     = `(?:\\*["']|[\])]|%(?:25)*(?:22|5[dD])|&#34;|&#39;|&quot;)*\s*`
	opening   = `\s*(?:\\*["']|[\[(]|%(?:25)*(?:22|5[bB])|&#34;|&#39;|&quot;)*`
	value     = `(?:[^\s"'<>&;,#\\|)}\]]|\\u00(?:2[bBfF]|3[dD])|\\/)+`
)

// patterns are looked for in each line that has one of their words, and one of the second
// list if there is one: searching costs a microsecond for a few bytes, looking for a word
// next to nothing. The words are in lower case.
var patterns = []struct {
	words, and []string
	*regexp.Regexp
	by string
}{
	// Names that are nothing but a secret's, in a header, a pair or a JSON member.
	{[]string{"sig", "key", "token", "secret", "x-amz-", "assertion", "identity-header", "passw"}, []string{"=", ":", "%"}, regexp.MustCompile(`(?i)` + before + `(sig|training-key|prediction-key|subscription-key|api-?key|account_?key|shared_?access_?key|x-amz-(?:signature|security-token|credential)|(?:access|refresh|id|session)_?token|client_?(?:secret|assertion)|secret_?access_?key|x-identity-header|private_?key|passw(?:or)?d)(` + quote + colons + opening + `)` + value), "${1}${2}${3}" + Redacted},
	{[]string{"sharedaccesssignature"}, nil, regexp.MustCompile(`(?i)(SharedAccessSignature` + quote + colons + opening + `)[^\s"'<>;\\]+`), "${1}" + Redacted},
	// Names that mean something else in a sentence.
	{[]string{"key", "pwd", "code", "token", "secret", "signature"}, []string{"key=", "pwd=", "code=", "token=", "secret=", "signature=", "%3d", `\u003d`, "&#", "\"=", "'=", " ="}, regexp.MustCompile(`(?i)` + beforeKey + `(key|pwd|code|[a-z0-9._-]*(?:token|secret|signature))(` + equals + opening + `)` + value), "${1}${2}${3}" + Redacted},
	{[]string{"secret", "session_token", "connection_string", "password"}, []string{" '"}, regexp.MustCompile(`(?i)\b((?:secret|session_token|connection_string|password)\s+')[^'\s]{4,}'`), "${1}" + Redacted + "'"},
	{[]string{"authorization"}, nil, regexp.MustCompile(`(?i)(authorization` + quote + colons + opening + `)(?:(?:bearer|basic|digest|negotiate|sharedkey(?:lite)?|sharedaccesssignature|aws4-hmac-sha256)(?:\s|\+|%20)+)?` + value + `(?:,\s*[A-Za-z]+=` + value + `)*`), "${1}" + Redacted},
	{[]string{"bearer", "basic", "sharedkey"}, nil, regexp.MustCompile(`(?i)\b((?:bearer|basic|sharedkey|sharedkeylite)(?:\s|%20)+)[A-Za-z0-9._~+/=:-]*[0-9][A-Za-z0-9._~+/=:-]*`), "${1}" + Redacted},
	// A JSON web token, and one of Google's.
	{[]string{"eyj"}, nil, regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?`), Redacted},
	{[]string{"ya29."}, nil, regexp.MustCompile(`\bya29\.[A-Za-z0-9_-]+`), Redacted},
	// user:password@ in a URL.
	{[]string{"@", "%40", "%2540"}, []string{"//", "%2f", `\/`}, regexp.MustCompile(`(?i)([a-z][a-z0-9+.-]*(?::|%(?:25)*3a)(?://|(?:%(?:25)*2f){2}|\\/\\/))[^\s/@"'<>?#\\:%]*(?::|%(?:25)*3a)[^\s/@"'<>\\]*?(@|%(?:25)*40)`), "${1}" + Redacted + "${2}"},
}

// privateKey has several lines.
var privateKey = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[A-Za-z0-9+/=\s]|\\+[nr])*(?:-----END [A-Z ]*PRIVATE KEY-----)?`)

func redactForms(text string) string {
	if strings.Contains(text, "PRIVATE KEY-----") {
		text = privateKey.ReplaceAllString(text, Redacted)
	}
	var b strings.Builder
	done := 0 // text[:done] is in b
	for from := 0; from < len(text); {
		to := len(text)
		if n := strings.IndexByte(text[from:], '\n'); n >= 0 {
			to = from + n + 1
		}
		if line := redactLine(text[from:to]); line != text[from:to] {
			b.WriteString(text[done:from])
			b.WriteString(line)
			done = to
		}
		from = to
	}
	if done == 0 {
		return text
	}
	b.WriteString(text[done:])
	return b.String()
}

func redactLine(line string) string {
	lower := strings.ToLower(line)
	hasOne := func(words []string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(lower, word) })
	}
	for _, p := range patterns {
		if hasOne(p.words) && (p.and == nil || hasOne(p.and)) {
			line = p.ReplaceAllString(line, p.by)
		}
	}
	return line
}
