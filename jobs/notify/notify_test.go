package notify

import (
	"encoding/base64"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/load/store/azure/azurelogin"
	"github.com/cvexport/cvexport/load/store/azure/azurelogin/logintest"
	"github.com/cvexport/cvexport/patience"
)

const (
	project   = "0b4c2f3a-5c1d-4e8f-9a7b-1c2d3e4f5a6b"
	iteration = "7ceb53b1-20df-40f6-90d7-1756db605677"
	completed = `{"version":"1.0","type":"Training","Content":{"projectId":"` + project + `","iterationId":"` + iteration + `","trainingStatus":"TrainingCompleted"}}`
)

func TestParse(t *testing.T) {
	for _, text := range []string{completed, " " + completed + "\n", strings.ReplaceAll(completed, "Content", "content"),
		"\ufeff" + completed, strings.ToLower(completed), strings.ReplaceAll(completed, "Training", "TRAINING"),
		recorded(t, "message-letter-case.json"), recorded(t, "message-cloudevents.json"), base64.StdEncoding.EncodeToString([]byte(recorded(t, "message-cloudevents.json"))),
		`{"specversion":"1.0","type":"x","data":` + strconv.Quote(completed) + `}`,
		`{"specversion":"1.0","type":"x","data":"` + base64.StdEncoding.EncodeToString([]byte(completed)) + `"}`,
		`{"specversion":"1.0","type":"x","data_base64":"` + base64.StdEncoding.EncodeToString([]byte(completed)) + `"}`,
		`[{"eventType":"x","topic":"y","data":` + completed + `}]`, "[" + completed + "]",
		base64.StdEncoding.EncodeToString([]byte(completed)), base64.StdEncoding.EncodeToString([]byte("\xef\xbb\xbf" + completed))} {
		n, err := Parse(text)
		if err != nil || n.Type != Training || (n.Project.String() != project || n.Iteration.String() != iteration) && !strings.HasPrefix(n.Iteration.String(), "00000000-0000-4000-8000-") || n.Status != TrainingCompleted {
			t.Errorf("%s: %+v, %v", text, n, err)
		}
	}
	for text, want := range map[string]string{
		`{"version":"1.0","type":"ConnectionTest","Content":{}}`:           "ConnectionTest",
		`{"version":"1.0","type":"Export","Content":{"exportStatus":"x"}}`: "Export",
		`{"type":"SomethingNew","Content":null}`:                           "SomethingNew",
		`{"type":"connectiontest"}`:                                        "ConnectionTest",
		`{"type":"x","data":{"type":"EXPORT"}}`:                            "Export",
	} {
		if n, err := Parse(text); err != nil || n.Type != want {
			t.Errorf("%s: %+v, %v", text, n, err)
		}
	}
	for text, want := range map[string]string{
		"":                    "not the json",
		"hello":               "not the json",
		"aGVsbG8=":            "not the json",
		"<html></html>":       "not the json",
		"[]":                  "not the json",
		"{}":                  "no type",
		`{"type":"Training"}`: "no content",
		`{"type":"Microsoft.CustomVision.Training","data":{"a":1}}`:                                 "the data of the envelope: the message has no type",
		`{"type":"x","data":"hello"}`:                                                               "the data of the envelope: the message is not the json",
		`{"data":{"data":{"data":{"data":{"type":"Training"}}}}}`:                                   "too many envelopes",
		"[" + completed + "," + completed + "]":                                                     "not the json",
		strings.ReplaceAll(completed, project, "../x"):                                              "projectId: ",
		strings.ReplaceAll(completed, iteration, ""):                                                "iterationId: ",
		strings.ReplaceAll(completed, `"TrainingCompleted"`, `""`):                                  "no trainingStatus",
		strings.ReplaceAll(completed, `"trainingStatus":"TrainingCompleted"`, `"trainingStatus":7`): "not the json",
	} {
		if n, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %s", text, n, err, want)
		}
	}
}

func recorded(t *testing.T, file string) string {
	t.Helper()
	body, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func FuzzParse(f *testing.F) {
	f.Add(completed)
	f.Add(base64.StdEncoding.EncodeToString([]byte(completed)))
	f.Add(`{"type":"ConnectionTest"}`)
	f.Add(`[{"type":"x","data":{"type":"tRAINING","content":{"projectId":"` + project + `","iterationId":"` + iteration + `","trainingstatus":"trainingcompleted"}}}]`)
	f.Add(`{"data_base64":"e30=","data":"{}"}`)
	f.Fuzz(func(t *testing.T, text string) {
		n, err := Parse(text)
		for _, word := range []string{Training, ConnectionTest, ModelExport} {
			if err == nil && strings.EqualFold(n.Type, word) && n.Type != word {
				t.Errorf("%q has the type %q", text, n.Type)
			}
		}
		if err == nil && (n.Type == "" || n.Type == Training && (n.Project.IsZero() && n.Iteration.IsZero() && n.Status == "")) {
			t.Errorf("%q is taken for %+v", text, n)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	const secret = "c2VjcmV0c2VjcmV0"
	logintest.Machine(t, nil)
	for address, want := range map[string]string{
		"":                                     "not the name of a queue",
		"a/b":                                  "not the name of a queue",
		"queue":                                "set AZURE_STORAGE_ACCOUNT",
		"http://a.queue.core.windows.net/q":    "want https://",
		"https://a.queue.core.windows.net/":    "not the name of a queue",
		"https://a.queue.core.windows.net/q/r": "not the name of a queue",
		"https://a.queue.core.windows.net/q?sig=" + secret: "set AZURE_STORAGE_SAS_TOKEN",
	} {
		if _, err := Open(once(t), address, nothing); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("Open(%q): %v, want %s", address, err, want)
		}
	}
	t.Setenv("AZURE_STORAGE_SAS_TOKEN", "sig="+secret)
	q, err := Open(once(t), "https://127.0.0.1.invalid/q", noRetries)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Receive(t.Context(), 1e9); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("error = %v", err)
	} else if patience.MayPass(err) {
		t.Errorf("a name that does not exist is asked for again: %v", err)
	}
	for name, tc := range map[string]struct {
		address   string
		variables map[string]string
		want      string
	}{
		"a broken connection":          {"queue", map[string]string{azurelogin.ConnectionVariable: "AccountKey=" + secret}, "AZURE_STORAGE_CONNECTION_STRING cannot be used"},
		"a connection to no address":   {"queue", map[string]string{azurelogin.ConnectionVariable: "QueueEndpoint=ftp://a;SharedAccessSignature=sig=" + secret}, "check AZURE_STORAGE_CONNECTION_STRING"},
		"a broken key":                 {"queue", map[string]string{azurelogin.AccountVariable: "account", azurelogin.KeyVariable: secret + "!"}, "AZURE_STORAGE_KEY cannot be used"},
		"a token of two lines":         {"queue", map[string]string{azurelogin.AccountVariable: "account", azurelogin.TokenVariable: "sig=\n" + secret}, "AZURE_STORAGE_SAS_TOKEN"},
		"another account's connection": {"https://other.queue.core.windows.net/q", map[string]string{azurelogin.ConnectionVariable: "AccountName=some;AccountKey=" + secret}, "AZURE_STORAGE_CONNECTION_STRING is for some.queue.core.windows.net: unset it"},
		"another account's key":        {"https://other.queue.core.windows.net/q", map[string]string{azurelogin.AccountVariable: "some", azurelogin.KeyVariable: secret}, "account some (AZURE_STORAGE_ACCOUNT): unset AZURE_STORAGE_KEY"},
		"another account's token":      {"https://other.queue.core.windows.net/q", map[string]string{azurelogin.AccountVariable: "some", azurelogin.TokenVariable: "sig=" + secret}, "account some (AZURE_STORAGE_ACCOUNT): unset AZURE_STORAGE_KEY"},
	} {
		t.Run(name, func(t *testing.T) {
			logintest.Machine(t, tc.variables)
			if _, err := Open(once(t), tc.address, nothing); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("error = %v, want %s", err, tc.want)
			}
		})
	}
}
