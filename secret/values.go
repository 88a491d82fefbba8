package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

const (
	// window is how much of a secret may be seen at most, less one byte: every run of so
	// many bytes of one is redacted wherever it stands. Less of it could be a word.
	window = 12

	// shortest is the length from which a secret shorter than window is redacted by its
	// value: as a whole, and only if it is not a word (has something else than letters).
	shortest = 8

	// lastTokens is how many tokens that expire are remembered.
	lastTokens = 8
)

type gram = [window]byte

// known is what Redact looks for by value.
var known struct {
	sync.RWMutex
	all    []string // the secrets, each once
	tokens []string // those of them that will be replaced, the oldest first
	grams  map[gram]struct{}
	begin  [1 << 16]bool   // the first two bytes of grams
	short  []string        // forms
	heads  map[string]bool // of secrets, headLength long
}

const headLength = 5

// Add makes secrets known to [Redact]. Of a connection string and of a SAS token it takes
// what is secret: the account's key and the signature. Call it wherever a secret is
// loaded, before it is used.
func Add(values ...string) {
	var parts []string
	for _, value := range values {
		parts = append(parts, secretParts(value)...)
	}
	known.Lock()
	defer known.Unlock()
	for _, part := range parts {
		if !slices.Contains(known.all, part) {
			known.all = append(known.all, part)
			index(part)
		}
	}
}

// AddToken is [Add] for a token that expires: the latest few are known.
func AddToken(token string) {
	known.Lock()
	defer known.Unlock()
	if len(token) < shortest || slices.Contains(known.all, token) {
		return
	}
	known.all, known.tokens = append(known.all, token), append(known.tokens, token)
	if len(known.tokens) <= lastTokens {
		index(token)
		return
	}
	oldest := known.tokens[0]
	known.tokens = slices.Clone(known.tokens[1:])
	known.all = slices.DeleteFunc(known.all, func(s string) bool { return s == oldest })
	known.grams, known.short, known.heads = nil, nil, nil
	for _, s := range known.all {
		index(s)
	}
}

// AddURL makes known what is secret in the address of a monitor or webhook, where whoever
// knows the path may send: the parts of the path, the values of the query, the user and the
// password. The host stays, for errors. Of what is no URL all is secret.
func AddURL(text string) {
	text = strings.TrimSpace(text)
	whole := text
	if !strings.Contains(text, "://") { // a host all the same, most likely
		whole = "https://" + text
	}
	u, err := url.Parse(whole)
	if err != nil || u.Host == "" {
		Add(text)
		return
	}
	password, _ := u.User.Password()
	parts := append(strings.Split(u.Path, "/"), strings.Split(u.EscapedPath(), "/")...)
	parts = append(parts, u.User.Username(), password, u.Fragment)
	if password != "" {
		parts = append(parts, base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
	}
	for _, values := range u.Query() {
		parts = append(parts, values...)
	}
	Add(parts...)
}

// variables are those with secrets that the program or a library in it reads.
var variables = []string{
	"VISION_TRAINING_KEY",
	"AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN",
	"AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_PASSWORD", "IDENTITY_HEADER", "MSI_SECRET", "SYSTEM_ACCESSTOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
	"AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
	"GOOGLE_CLIENT_SECRET", "GOOGLE_OAUTH_ACCESS_TOKEN",
}

// secretHeader matches headers whose values are secret; others may have common words.
var secretHeader = regexp.MustCompile(`(?i)key|auth|token|secret|passw|cookie|sig`)

// AddEnvironment makes the secrets of the environment known: keys and tokens of the
// service and of clouds, passwords in the addresses of proxies and servers, and what
// OpenTelemetry sends to its collector as headers.
func AddEnvironment() {
	for _, name := range variables {
		Add(os.Getenv(name))
		if text, err := Text([]byte(os.Getenv(name)), name); err == nil {
			Add(text)
		}
	}
	if text, err := Text([]byte(os.Getenv("CVEXPORT_PING")), "CVEXPORT_PING"); err == nil {
		AddURL(text)
	}
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		switch name = strings.ToUpper(name); {
		case strings.HasPrefix(name, "OTEL_EXPORTER_OTLP_") && strings.HasSuffix(name, "HEADERS"):
			for header := range strings.SplitSeq(value, ",") {
				name, text, _ := strings.Cut(header, "=")
				if !secretHeader.MatchString(name) {
					continue
				}
				if plain, err := url.PathUnescape(text); err == nil {
					text = plain
				}
				scheme, credentials, _ := strings.Cut(strings.TrimSpace(text), " ")
				Add(scheme, strings.TrimSpace(credentials))
			}
		case strings.Contains(value, "://") && strings.Contains(value, "@"):
			if u, err := url.Parse(strings.TrimSpace(value)); err == nil && u.User != nil {
				password, _ := u.User.Password()
				Add(password)
				if password != "" {
					Add(base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password)))
				}
			}
		}
	}
}

// secretParts returns what is secret in a value.
func secretParts(value string) []string {
	value = strings.TrimSpace(value)
	var parts []string
	add := func(part string) {
		if len(part) >= shortest {
			parts = append(parts, part)
		}
	}
	found := false
	for pair := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ';' || r == '&' || r == '?' || r == '#' }) {
		name, text, _ := strings.Cut(pair, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "sharedaccesssignature" { // SharedAccessSignature=sv=...&sig=..., and the first pair may be it
			name, text, _ = strings.Cut(text, "=")
			name = strings.ToLower(name)
			found = true
		}
		switch name {
		case "accountkey", "sharedaccesskey", "sig", "password":
			found = true
			add(text)
			if plain, err := url.PathUnescape(text); err == nil && plain != text {
				add(plain)
			}
		case "accountname", "defaultendpointsprotocol", "endpointsuffix", "blobendpoint", "queueendpoint", "sv", "se", "sp":
			found = true // a connection string or a token without its secret
		}
	}
	if !found {
		add(value)
	}
	return parts
}

// index adds the forms of a secret to what is looked for. The caller holds the lock.
func index(secret string) {
	if known.grams == nil {
		known.grams, known.heads = map[gram]struct{}{}, map[string]bool{}
	}
	if len(secret) < window {
		if strings.ContainsFunc(secret, func(r rune) bool { return !unicode.IsLetter(r) }) {
			known.short = append(known.short, forms(secret)...)
		}
		return
	}
	known.heads[secret[:headLength]] = true
	for _, form := range forms(secret) {
		for i := range len(form) - window + 1 {
			known.grams[gram([]byte(form[i:i+window]))] = struct{}{}
			known.begin[beginning(form, i)] = true
		}
	}
}

func beginning(s string, i int) uint16 { return uint16(s[i])<<8 | uint16(s[i+1]) }

// forms returns a secret as it is, and as it is written in URLs, JSON, Go's quotes, HTML,
// hexadecimal and base64, there also in the middle of another text.
func forms(secret string) []string {
	all := []string{secret}
	add := func(form string) {
		if !slices.Contains(all, form) {
			all = append(all, form)
		}
	}
	lowerHex := func(escaped string) string {
		b := []byte(escaped)
		for i := 0; i+2 < len(b); i++ {
			if b[i] == '%' {
				copy(b[i+1:], strings.ToLower(string(b[i+1:i+3])))
			}
		}
		return string(b)
	}
	for _, escape := range []func(string) string{url.QueryEscape, url.PathEscape} {
		once := escape(secret)
		for _, form := range []string{once, lowerHex(once), escape(once)} {
			add(form)
		}
	}
	quoted := strconv.Quote(secret)
	add(quoted[1 : len(quoted)-1])
	if body, err := json.Marshal(secret); err == nil {
		text := string(body[1 : len(body)-1])
		add(text)
		add(strings.ReplaceAll(text, "/", `\/`))
		again := strconv.Quote(text)
		add(again[1 : len(again)-1])
	}
	for _, escapes := range [][]string{{`\u002b`, `\u003d`}, {`\u002B`, `\u003D`}} { // as .NET writes JSON
		add(strings.NewReplacer("+", escapes[0], "=", escapes[1], "&", `\u0026`, "'", `\u0027`, `"`, `\u0022`).Replace(secret))
	}
	for _, format := range []string{"%%%02X", "%%%02x", `\u%04x`, `\u%04X`, "&#%d;", "&#x%x;", "&#x%X;"} { // each byte by itself
		var b strings.Builder
		for i := range len(secret) {
			fmt.Fprintf(&b, format, secret[i])
		}
		add(b.String())
	}
	add(html.EscapeString(secret))
	add(strings.NewReplacer("&", "&amp;", "+", "&#43;", "=", "&#61;", "'", "&#39;", `"`, "&#34;", "<", "&lt;").Replace(secret))
	add(hex.EncodeToString([]byte(secret)))
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for before := range 3 { // as a part of a longer text it begins at any of three places
			text := encoding.EncodeToString(append(make([]byte, before), secret...))
			from, to := (before*8+5)/6, (before+len(secret))*8/6
			add(text[from:to])
		}
	}
	return all
}
