package open

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/load/store"
)

// What could be the name of a folder, but was meant as something else, is refused with the
// right form. What is a folder's name stays one.
func TestAddressesThatWereMeantOtherwise(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Chdir(t.TempDir())
	for address, want := range map[string]string{
		"s3:/bucket":               `"s3:/bucket": want s3://bucket, with two slashes`,
		"s3:bucket/folder":         "want s3://bucket/folder",
		"S3:/bucket":               "want s3://bucket",
		"gs:/bucket/folder":        "want gs://bucket/folder",
		"azblob:/container":        "want azblob://container",
		"az:container":             "want az://container",
		"file:/folder":             "want file:///folder, with three slashes",
		"file:folder":              "want file:///folder",
		"https:/account/container": "neither a folder nor a URL: want a folder, gs://bucket/folder",
		"s3:/bucket?sig=TOKEN":     `"s3:/bucket": want s3://bucket, with`,
		"~":                        "only a shell knows ~, and only at the beginning of a word: give " + home,
		"~/x":                      "give " + filepath.Join(home, "x"),
		"~somebody/x":              "or ./~somebody/x for one of that name",
		"$HOME/x":                  "nobody has expanded the variable",
		"gs://${BUCKET}/x":         "nobody has expanded the variable",
		`"./warehouse"`:            "the quotes are a part of it",
		"'gs://bucket'":            "the quotes are a part of it",
		"gs://bucket/x\n":          "spaces or line ends around it",
		" warehouse":               "spaces or line ends around it",
		"ware\x00house":            "do not print",
		"\ufeffwarehouse":          "do not print",
		"a\r\nb":                   "more than one line",

		"/data/project_id=1/warehouse":            `its folder "project_id=1" for a column`,
		"x/PROJECT_ID=1":                          `its folder "PROJECT_ID=1" for a column`,
		"gs://bucket/iteration_id=x":              `its folder "iteration_id=x" for a column`,
		"s3://bucket/a/tag_id=x/b":                `its folder "tag_id=x" for a column`,
		"azblob://container/status=new?sig=TOKEN": `its folder "status=new" for a column`,
		"file:///folder/export_id=x":              `its folder "export_id=x" for a column`,
		"./warehouse":                             "",
		"/a b/c":                                  "",
		"./s3:/bucket":                            "",
		"./~/x":                                   "",
		"x~":                                      "",
		"a$b":                                     "",
		"run:1":                                   "",
		"2024-01-01T00:00":                        "",
		"c:/folder":                               "",
		"it's":                                    "",
		"env=test/warehouse":                      "",
		"gs://bucket/env=test":                    "",
		"/data/1project_id=x":                     "",
		"az://container/x":                        "",
		"azblob://container/x":                    "",
		"AZBLOB://container/x":                    "unknown kind of URL: use a folder, file://",
		"wasbs://container@account.blob.core/x":   "unknown kind of URL: use a folder, file://",
		"s3:///bucket":                            "want s3://bucket",
		"azblob://account.blob.core.windows.net/c=": "",
	} {
		_, err := CheckAddress(address)
		if _, openErr := Identity(address); strings.Contains(want, "want s3://bucket, with") && openErr == nil {
			t.Errorf("Identity(%q) takes it", address)
		}
		switch {
		case want == "" && err != nil:
			t.Errorf("%q is refused: %v", address, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: error %v, want %s", address, err, want)
		case err != nil && strings.Contains(err.Error(), "TOKEN"):
			t.Errorf("%q: the error repeats the token: %v", address, err)
		}
	}
	t.Chdir(mkdir(t, filepath.Join(t.TempDir(), "project_id=2")))
	if _, err := CheckAddress("warehouse"); err == nil || !strings.Contains(err.Error(), `"project_id=2"`) {
		t.Errorf("below a folder project_id=2: %v", err)
	}
}

// Both names of Azure's kind are one.
func TestAzIsAzblob(t *testing.T) {
	for _, rest := range []string{"container/a", "account.blob.core.windows.net/container"} {
		a, errA := CheckAddress("az://" + rest)
		b, errB := CheckAddress("azblob://" + rest)
		idA, _ := Identity("az://" + rest)
		idB, _ := Identity("azblob://" + rest)
		if a != b || a == "" || idA != idB || errA != nil || errB != nil {
			t.Errorf("%s, %s, %s, %s, %v, %v", a, b, idA, idB, errA, errB)
		}
	}
}

// FuzzText: what is taken has no form that is meant otherwise.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"s3:/bucket", "~", "$x", "${", `"a"`, " a", "a:b", "c:/x", "file:x?sig=TOKEN", "run:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		err := CheckText(text)
		if err == nil && text != "" && (strings.ContainsAny(text[:1], "~$ \t") || strings.ContainsAny(text, "\r\n\x00")) {
			t.Errorf("%q is taken", text)
		}
		if at := store.ParseAddress(text); err == nil && at.Scheme == "" && strings.HasPrefix(strings.ToLower(text), "s3:") {
			t.Errorf("%q is taken for a folder", text)
		}
		if _, token, found := strings.Cut(text, "?"); err != nil && found && len(token) > 20 && strings.Contains(err.Error(), token) {
			t.Errorf("the error repeats what may be a token: %v", err)
		}
	})
}

func mkdir(t *testing.T, folder string) string {
	t.Helper()
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	return folder
}
