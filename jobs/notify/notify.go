// Package notify receives the notifications that Custom Vision puts into an Azure
// storage queue, one of which says that the training of an iteration has ended.
package notify

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/cvexport/cvexport/schema"
)

// The type and status of the notification that an iteration can be exported. Other types
// are about the set-up of the queue and about exports of models.
const (
	Training          = "Training"
	TrainingCompleted = "TrainingCompleted"
)

// Notification is what the service says (v3.4-preview). The other fields are set if the
// type is Training.
type Notification struct {
	Type               string
	Project, Iteration schema.ID
	Status             string
}

// Parse reads the text of a message: JSON, or JSON in base64, which is how most
// of Azure writes into queues. Fields that it does not know it passes over.
func Parse(text string) (Notification, error) {
	body := []byte(strings.TrimSpace(text))
	if len(body) > 0 && body[0] != '{' {
		if plain, err := base64.StdEncoding.DecodeString(string(body)); err == nil {
			body = bytes.TrimPrefix(plain, []byte("\xef\xbb\xbf")) // .NET likes to begin with a mark
		}
	}
	var message struct {
		Type    string `json:"type"`
		Content struct {
			ProjectID   string `json:"projectId"`
			IterationID string `json:"iterationId"`
			Status      string `json:"trainingStatus"`
		} `json:"content"` // encoding/json does not mind the capital it comes with
	}
	if err := json.Unmarshal(body, &message); err != nil {
		return Notification{}, fmt.Errorf("the message is not the json it should be: %w", err)
	}
	n := Notification{Type: message.Type, Status: message.Content.Status}
	switch {
	case n.Type == "":
		return Notification{}, errors.New("the message has no type")
	case n.Type != Training:
		return n, nil
	}
	var err error
	if n.Project, err = schema.ParseID(message.Content.ProjectID); err != nil {
		return Notification{}, fmt.Errorf("the message's projectId: %w", err)
	}
	if n.Iteration, err = schema.ParseID(message.Content.IterationID); err != nil {
		return Notification{}, fmt.Errorf("the message's iterationId: %w", err)
	}
	if n.Status == "" {
		return Notification{}, errors.New("the message has no trainingStatus")
	}
	return n, nil
}
