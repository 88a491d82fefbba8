package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// forget makes nothing known, for a test and after it.
func forget(t *testing.T) {
	clear := func() {
		known.Lock()
		defer known.Unlock()
		known.all, known.tokens, known.grams, known.short, known.heads = nil, nil, nil, nil, nil
	}
	clear()
	t.Cleanup(clear)
}

const theSecret = `Vq7+z/R2=&"u9\L4<k'8` + "%2Bé" + `mW3nX6yB1cT5`

// A secret that is known is found in any encoding, and in part.
func TestRedactByValue(t *testing.T) {
	forget(t)
	Add(theSecret)
	quoted := func(s string) string { body, _ := json.Marshal(s); return string(body) } // a string always has JSON
	each := func(format string) (text string) {
		for _, b := range []byte(theSecret) {
			text += fmt.Sprintf(format, b)
		}
		return text
	}
	for name, text := range map[string]string{
		"plain": theSecret, "query": url.QueryEscape(theSecret), "path": url.PathEscape(theSecret), "twice": url.QueryEscape(url.QueryEscape(theSecret)),
		"JSON": quoted(theSecret), "JSON in JSON": quoted(quoted(theSecret)), "quoted": strconv.Quote(theSecret), "HTML": html.EscapeString(theSecret),
		"base64": base64.StdEncoding.EncodeToString([]byte(theSecret)), "base64 for URLs": base64.RawURLEncoding.EncodeToString([]byte(theSecret)),
		"basic": base64.StdEncoding.EncodeToString([]byte("user:" + theSecret)), "hex": hex.EncodeToString([]byte(theSecret)),
		"lower hex":           strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(theSecret), "%2F", "%2f"), "%2B", "%2b"),
		".NET":                strings.NewReplacer("+", `\u002B`, "&", `\u0026`, "=", `\u003D`, "'", `\u0027`, `"`, `\u0022`).Replace(theSecret),
		"every byte in a URL": each(`%%%02X`), "in lower case": each(`%%%02x`), "every byte in JSON": each(`\u%04x`), "in HTML": each("&#%d;"),
	} {
		got := Redact("before " + text + " after")
		if !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") || !strings.Contains(got, Redacted) {
			t.Errorf("%s: %s", name, got)
		}
		for i := range len(text) - window + 1 {
			if part := text[i : i+window]; strings.Contains(got, part) {
				t.Errorf("%s: %q is left of %q", name, part, text)
				break
			}
		}
	}
	for from := range len(theSecret) - window {
		for to := from + window; to <= len(theSecret); to++ {
			if got := Redact("x " + theSecret[from:to] + " y"); got != "x "+Redacted+" y" && theSecret[to-1] != '\\' { // which goes with what follows
				t.Fatalf("%q: %q", theSecret[from:to], got)
			}
		}
	}
	// Wherever a text was cut, no part of it is left.
	for cut := range theSecret {
		text := strings.Repeat("a ", 20) + theSecret[:cut]
		if got := Cut(text, 100); cut > headLength && strings.Contains(got, theSecret[:headLength]) {
			t.Errorf("after %d bytes: %q", cut, got)
		}
		if got := Cut(text+theSecret[cut:], len(text)); strings.Contains(got, theSecret[:headLength]) {
			t.Errorf("cut after %d bytes: %q", cut, got)
		}
	}
}

// What is shorter than shortest, or a word, is no secret that could be found by its theSecret.
func TestShortValues(t *testing.T) {
	forget(t)
	Add("", "abc", "a1b2c3d", "simulated", "pass-word", " \n")
	for text, want := range map[string]string{
		"abc a1b2c3d simulated": "abc a1b2c3d simulated",
		"it is pass-word.":      "it is REDACTED.",
	} {
		if got := Redact(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Of a connection string and of a token, only what is secret goes.
func TestParts(t *testing.T) {
	for text, secrets := range map[string][]string{
		"DefaultEndpointsProtocol=https;AccountName=someaccount;AccountKey=c2VjcmV0c2VjcmV0c2VjcmV0;EndpointSuffix=core.windows.net":          {"c2VjcmV0c2VjcmV0c2VjcmV0"},
		"BlobEndpoint=https://someaccount.example/;SharedAccessSignature=sv=2022-11-02&se=2030-01-01T00%3A00%3A00Z&sig=aB3%2Bc4D5e6F7g8H9%3D": {"aB3%2Bc4D5e6F7g8H9%3D", "aB3+c4D5e6F7g8H9="},
		"?sp=rwdl&sig=aB3%2Bc4D5e6F7g8H9%3D&sv=2022-11-02": {"aB3+c4D5e6F7g8H9="},
	} {
		forget(t)
		Add(text)
		for _, s := range secrets {
			if got := Redact("x " + s); got != "x "+Redacted {
				t.Errorf("%s: %s", s, got)
			}
		}
		for _, kept := range []string{"https://someaccount.blob.core.windows.net/", "sv=2022-11-02&se=2030-01-01T00%3A00%3A00Z", "DefaultEndpointsProtocol=https"} {
			if got := Redact(kept); got != kept {
				t.Errorf("%s became %s", kept, got)
			}
		}
	}
}

func TestTokensAreForgotten(t *testing.T) {
	forget(t)
	Add(theSecret)
	token := func(n int) string { return fmt.Sprintf("%02d.token-of-an-hour", n) }
	for n := range 3 * lastTokens {
		AddToken(token(n))
	}
	if len(known.all) != 1+lastTokens || Redact(token(0)[:window]) == Redacted || Redact(token(3*lastTokens-1)) != Redacted || Redact(theSecret) != Redacted {
		t.Errorf("%d are known", len(known.all))
	}
}

func TestEnvironment(t *testing.T) {
	forget(t)
	for name, text := range map[string]string{
		"VISION_TRAINING_KEY": "\ufeff'0123456789trainingkey'\n", "AWS_SESSION_TOKEN": "sessiontoken4711", "HTTPS_PROXY": "http://me:proxypass4711@127.0.0.1:1",
		"OTEL_EXPORTER_OTLP_HEADERS": "content-type=application/json,authorization=Bearer%20collector4711token",
	} {
		t.Setenv(name, text)
	}
	AddEnvironment()
	for _, s := range []string{"0123456789trainingkey", "sessiontoken4711", "proxypass4711", base64.StdEncoding.EncodeToString([]byte("me:proxypass4711")), "collector4711token"} {
		if got := Redact("x " + s); got != "x "+Redacted {
			t.Errorf("%s: %s", s, got)
		}
	}
	if got := Redact("application/json"); got != "application/json" {
		t.Error(got)
	}
}

// What nobody has loaded is known by its form.
func TestRedactByForm(t *testing.T) {
	forget(t)
	for text, want := range map[string]string{
		"https://a.blob.core/x?sv=1&sig=aB%2Bc%3D&se=2":                                                "https://a.blob.core/x?sv=1&sig=REDACTED&se=2",
		"https://h/#access_token=abc.def&x=1":                                                          "https://h/#access_token=REDACTED&x=1",
		"u=https%3A%2F%2Fh%2F%3Fsv%3D1%26sig%3DaB%252Bc%26se=2":                                        "u=https%3A%2F%2Fh%2F%3Fsv%3D1%26sig%3DREDACTED",
		`{"url":"https://h/?sig=abc","n":1}`:                                                           `{"url":"https://h/?sig=REDACTED","n":1}`,
		`{"m":"{\"client_secret\":\"abc\",\"n\":1}"}`:                                                  `{"m":"{\"client_secret\":\"REDACTED\",\"n\":1}"}`,
		`https://h/?a=1\u0026sig=abc\u0026b=2`:                                                         `https://h/?a=1\u0026sig=REDACTED\u0026b=2`,
		"map[Authorization:[Bearer abc.def] X:[y]]":                                                    "map[Authorization:[REDACTED] X:[y]]",
		`"Authorization": "SharedKey acc:abc="`:                                                        `"Authorization": "REDACTED"`,
		"Authorization: AWS4-HMAC-SHA256 Credential=AK/1/s3, SignedHeaders=host, Signature=0a1b\nnext": "Authorization: REDACTED\nnext",
		"Training-Key: abc\nX: y":                                                                      "Training-Key: REDACTED\nX: y",
		"map[Training-Key:[abc] Y:[z]]":                                                                "map[Training-Key:[REDACTED] Y:[z]]",
		"Ocp-Apim-Subscription-Key=abc":                                                                "Ocp-Apim-Subscription-Key=REDACTED",
		"AccountName=a;AccountKey=ab+/==;X=1":                                                          "AccountName=a;AccountKey=REDACTED;X=1",
		"SharedAccessSignature=sv=1&sig=a;X=1":                                                         "SharedAccessSignature=REDACTED;X=1",
		"?X-Amz-Signature=0a1b&X-Amz-Security-Token=ab%2F&X-Amz-Credential=AK%2F1":                     "?X-Amz-Signature=REDACTED&X-Amz-Security-Token=REDACTED&X-Amz-Credential=REDACTED",
		"http://me:pass@host:1/x":                                                                      "http://REDACTED@host:1/x",
		"http%3A%2F%2Fme%3Apass%40host":                                                                "http%3A%2F%2FREDACTED%40host",
		"?key=abc&q=1":                                                                                 "?key=REDACTED&q=1",
		"got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln":                                                "got REDACTED",
		"CREATE SECRET (TYPE s3, SECRET 'abcdef')":                                                     "CREATE SECRET (TYPE s3, SECRET 'REDACTED')",
		`-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n`:                               `REDACTED\n`,
		// What looks a little like it.
		"/data/key=prod/x and gs://b/key=prod":         "/data/key=prod/x and gs://b/key=prod",
		"export VISION_TRAINING_KEY=simulated":         "export VISION_TRAINING_KEY=simulated",
		"CREATE SECRET (TYPE gcs, SECRET '...')":       "CREATE SECRET (TYPE gcs, SECRET '...')",
		"check the key: it must be a training key":     "check the key: it must be a training key",
		"wasbs://container@account.blob.core/x":        "wasbs://container@account.blob.core/x",
		"time=12:00 level=INFO msg=design=x":           "time=12:00 level=INFO msg=design=x",
		"signature: got 1, want 2; the token: expired": "signature: got 1, want 2; the token: expired",
		`{"objects":[{"key":"images/x"}]}`:             `{"objects":[{"key":"images/x"}]}`,
		"bearer authentication failed":                 "bearer authentication failed",
	} {
		if got := Redact(text); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// FuzzRedact: no part of a secret is left, and JSON stays JSON. (Of a secret with quotes in
// it, the quotes could be those of the JSON.)
func FuzzRedact(f *testing.F) {
	const secret = "Vq7+z/R2=&u9L4<k'8%2BémW3nX6yB1cT5"
	for _, seed := range []string{secret, "\\" + secret + "\\", `\u002` + secret, "?sig=" + secret, secret[:20] + `"` + secret[20:], "http://a:b@c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		Add(secret)
		got := Redact(s)
		for i := range len(secret) - window + 1 {
			if strings.Contains(got, secret[i:i+window]) {
				t.Errorf("%q: %q is left", s, secret[i:i+window])
			}
		}
		body, err := json.Marshal(map[string]string{"a": s})
		if err == nil && !json.Valid([]byte(Redact(string(body)))) {
			t.Errorf("%s became %s", body, Redact(string(body)))
		}
	})
}
