package main

import (
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cvexport/cvexport/internal/azurite"
)

func makeContainer(t testing.TB, server azurite.Server, name string) {
	t.Helper()
	c, err := container.NewClientFromConnectionString(server.ConnectionString, name, nil)
	if err == nil {
		_, err = c.Create(t.Context(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestListenScripts runs the listener, with a warehouse in Azure, as users do.
func TestListenScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it needs Azurite")
	}
	server := azurite.Start(t)
	makeContainer(t, server, "vision")
	testscript.Run(t, testscript.Params{
		Dir: "testdata/azure",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"service":   startService,
			"exits":     exits,
			"interrupt": interrupt,
			"send": func(ts *testscript.TestScript, _ bool, args []string) { // send QUEUE TEXT
				q, err := azqueue.NewQueueClientFromConnectionString(server.ConnectionString, args[0], nil)
				ts.Check(err)
				_, err = q.Create(t.Context(), nil) // no error if it exists
				ts.Check(err)
				_, err = q.EnqueueMessage(t.Context(), args[1], nil)
				ts.Check(err)
			},
			"receives": func(ts *testscript.TestScript, neg bool, args []string) { // receives QUEUE TEXT, at once
				q, err := azqueue.NewQueueClientFromConnectionString(server.ConnectionString, args[0], nil)
				ts.Check(err)
				got, err := q.DequeueMessage(t.Context(), nil)
				ts.Check(err)
				switch {
				case !neg && (len(got.Messages) != 1 || *got.Messages[0].MessageText != args[1]):
					ts.Fatalf("received %+v, want %s", got.Messages, args[1])
				case neg && len(got.Messages) > 0:
					ts.Fatalf("received %s", *got.Messages[0].MessageText)
				}
			},
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("GORACE", raceOptions)
			env.Setenv("AZURE_STORAGE_CONNECTION_STRING", server.ConnectionString)
			return nil
		},
	})
}
