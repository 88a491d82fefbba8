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

// The types and statuses of notifications. That of a completed training says that an
// iteration can be exported. The other types are about the set-up of the queue and about
// exports of models.
const (
	Training          = "Training"
	ConnectionTest    = "ConnectionTest"
	ModelExport       = "Export"
	TrainingCompleted = "TrainingCompleted"
	TrainingFailed    = "TrainingFailed"
)

// Notification is what the service says (v3.4-preview). Type and Status are spelled like
// the constants if they differ from one in the case of letters only. The other fields are
// set if the type is Training.
type Notification struct {
	Type               string
	Project, Iteration schema.ID
	Status             string
}

// Parse reads the text of a message: JSON, or JSON in base64, which is how most of Azure
// writes into queues, alone or as the data of a CloudEvents or Event Grid envelope. Fields
// that it does not know it passes over.
func Parse(text string) (Notification, error) {
	if len(text) > maxMessage {
		return Notification{}, fmt.Errorf("the message has %d bytes, more than the limit of %d", len(text), maxMessage)
	}
	return parse(text, 0)
}

// maxMessage is the most that Azure's queues take as the text of a message, in bytes.
const maxMessage = 64 << 10

// maxEnvelopes is how many envelopes a message may be in: none has more than two.
const maxEnvelopes = 3

func parse(text string, envelopes int) (Notification, error) {
	body := trim([]byte(text))
	if len(body) > 0 && body[0] != '{' && body[0] != '[' {
		if plain, err := base64.StdEncoding.DecodeString(string(body)); err == nil {
			body = trim(plain)
		}
	}
	var batch []json.RawMessage // Event Grid's, in some set-ups
	if json.Unmarshal(body, &batch) == nil && len(batch) == 1 {
		body = batch[0]
	}
	var message struct {
		Type    string `json:"type"`
		Content *struct {
			ProjectID   string `json:"projectId"`
			IterationID string `json:"iterationId"`
			Status      string `json:"trainingStatus"`
		} `json:"content"` // encoding/json does not mind the capital it comes with

		Data   json.RawMessage `json:"data"` // of an envelope
		Base64 string          `json:"data_base64"`
	}
	if err := json.Unmarshal(body, &message); err != nil {
		return Notification{}, fmt.Errorf("the message is not the json it should be: %w", err)
	}
	if data := inner(message.Data, message.Base64); message.Content == nil && data != "" {
		if envelopes == maxEnvelopes {
			return Notification{}, errors.New("the message is in too many envelopes")
		}
		n, err := parse(data, envelopes+1)
		if err != nil {
			err = fmt.Errorf("the data of the envelope: %w", err)
		}
		return n, err
	}
	n := Notification{Type: spelled(message.Type, Training, ConnectionTest, ModelExport)}
	switch {
	case n.Type == "":
		return Notification{}, errors.New("the message has no type")
	case n.Type != Training:
		return n, nil
	case message.Content == nil:
		return Notification{}, errors.New("the message has no content")
	}
	n.Status = spelled(message.Content.Status, TrainingCompleted, TrainingFailed)
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

// trim leaves out white space, and the mark that .NET likes to begin with.
func trim(body []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), []byte("\xef\xbb\xbf")))
}

// inner returns the text in an envelope: an object, or a string that holds one.
func inner(data json.RawMessage, inBase64 string) string {
	if inBase64 != "" {
		return inBase64
	}
	var text string
	if json.Unmarshal(data, &text) == nil { // or null
		return text
	}
	return string(data)
}

// spelled returns the known word that differs from text in the case of letters at most, or
// else text.
func spelled(text string, known ...string) string {
	for _, word := range known {
		if strings.EqualFold(text, word) {
			return word
		}
	}
	return text
}
