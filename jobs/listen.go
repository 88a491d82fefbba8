package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/jobs/notify"
	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/schema"
)

// Queue is where notifications come from.
type Queue interface {
	// Receive returns the next message and hides it from others for a time; nil if there is none.
	Receive(ctx context.Context, hidden time.Duration) (*notify.Message, error)
}

// ListenOptions say how messages are processed.
type ListenOptions struct {
	MaxTries  int                 // a message that fails after being received so often goes to the poison queue
	Hidden    time.Duration       // a message is hidden from others this long; renewed while it is processed
	Poll      time.Duration       // between two requests to an empty queue
	UntilIdle bool                // return when the queue is empty
	Retry     time.Duration       // a failed message returns after this long, then twice as long, up to six hours
	Done      func(ProjectResult) // called for each iteration that was processed; may be nil
	Progress  func() Progress     // of one export; may be nil
	Log       *slog.Logger        // may be nil
}

// Listen exports each iteration whose training has completed according to a message.
// A message is deleted once its export is committed, or found in the warehouse; one
// that fails is retried later, and finally goes to the poison queue. So does at once what
// is not understood. Messages that need no export are deleted: about a failed training, the
// set-up of the queue, exports of models, and projects outside the resource's choice. Listen returns when ctx ends, and when the service or the queue refuses
// the credentials, or give no answer for as long as their patience lasts.
func Listen(ctx context.Context, r Resource, queue Queue, o ListenOptions) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func() Progress { return silent{} }
	}
	if o.Done == nil {
		o.Done = func(ProjectResult) {}
	}
	l := listener{Resource: r, ListenOptions: o}
	l.Log = o.Log.With("resource", r.Name)
	for {
		m, err := queue.Receive(ctx, o.Hidden)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		case m == nil && o.UntilIdle:
			return nil
		case m == nil:
			if err := patience.Sleep(ctx, o.Poll); err != nil {
				return err
			}
			continue
		}
		if err := l.handle(ctx, m); err != nil {
			return err
		}
	}
}

type listener struct {
	Resource
	ListenOptions
}

// handle processes one message. An error ends Listen.
func (l *listener) handle(ctx context.Context, m *notify.Message) error {
	log := l.Log.With("message", m.ID, "attempt", m.Tries)
	n, err := notify.Parse(m.Text)
	if err != nil {
		log.Error("moving an unreadable message to the poison queue", "error", err)
		return l.poison(ctx, m, log)
	}
	log = log.With("type", n.Type)
	switch n.Type {
	case notify.Training:
	case notify.ConnectionTest, notify.ModelExport:
		log.Info("ignoring a message that is not about a training")
		return l.settle(ctx, log, m.Delete)
	default:
		log.Error("moving a message of an unknown type to the poison queue")
		return l.poison(ctx, m, log)
	}
	log = log.With("project", n.Project, "iteration", n.Iteration)
	switch n.Status {
	case notify.TrainingCompleted:
	case notify.TrainingFailed:
		log.Warn("a training has failed: there is nothing to export", "status", n.Status)
		return l.settle(ctx, log, m.Delete)
	default:
		log.Error("moving a message with an unknown status to the poison queue", "status", n.Status)
		return l.poison(ctx, m, log)
	}
	if m.Tries > maxReceived*l.MaxTries {
		log.Error("moving a message to the poison queue untried, because it was received too often: find out what ends the listener each time, such as too little memory")
		return l.poison(ctx, m, log)
	}
	work, stop := l.keepHidden(ctx, m, log)
	it := IterationResult{ID: n.Iteration}
	wanted, err := l.wants(work, n.Project)
	if wanted && err == nil {
		if it = l.export(work, n); it.Outcome == Failed {
			err = fmt.Errorf("exporting iteration %s of project %s: %w", n.Iteration, n.Project, it.Err)
		}
	}
	stop()
	p := ProjectResult{ID: n.Project, Name: it.Project, Iterations: []IterationResult{it}}
	switch {
	case err == nil && !wanted:
		log.Info("ignoring a message about a project that is not chosen")
		return l.settle(ctx, log, m.Delete)
	case err == nil:
		log.Info("the iteration is in the warehouse", "outcome", it.Outcome)
		l.Done(p)
		return l.settle(ctx, log, m.Delete)
	case ctx.Err() != nil:
		return giveBack(ctx, m, log)
	case errors.Is(context.Cause(work), notify.ErrLost):
		log.Warn("another receiver has taken over the message", "cause", err)
		return nil
	}
	p.Iterations[0].Outcome, p.Iterations[0].Err = Failed, err
	l.Done(p)
	keyRefused := extract.AuthRefused(err) // not the message's fault
	if m.Tries >= l.MaxTries && !keyRefused {
		log.Error("the iteration failed too often; moving its message to the poison queue", "error", err)
		return l.poison(ctx, m, log)
	}
	after := l.pause(m)
	log.Error("the iteration failed; its message will return", "after", after, "error", err)
	if hideErr := l.hide(ctx, m, after, log); hideErr != nil || !keyRefused {
		return hideErr
	}
	return err
}

const (
	giveBackTimeout = time.Second // an interrupt ends everything within two
	maxDoublings    = 8
	maxPause        = 6 * time.Hour // the queue allows 7 days, and then drops messages
	minPoisonPause  = time.Minute

	// A listener that is stopped or killed also leaves a message received, without a
	// failure. One received this many times MaxTries probably kills its listeners.
	maxReceived = 10
)

// giveBack makes the message visible at once, so that another listener can start.
func giveBack(ctx context.Context, m *notify.Message, log *slog.Logger) error {
	back, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackTimeout)
	defer cancel()
	if err := m.Hide(back, 0); err != nil {
		log.Warn("giving the message back; it will return by itself", "error", err)
	}
	return ctx.Err()
}

// poison moves the message to the poison queue. If that fails, the message stays and
// returns later: it must not block all others.
func (l *listener) poison(ctx context.Context, m *notify.Message, log *slog.Logger) error {
	err := m.Poison(ctx)
	switch {
	case err == nil:
		return l.settle(ctx, log, m.Delete)
	case ctx.Err() != nil:
		return giveBack(ctx, m, log)
	}
	after := max(l.pause(m), minPoisonPause)
	log.Error("moving a message to the poison queue; it will return", "after", after, "error", err)
	return l.hide(ctx, m, after, log)
}

// pause returns how long a failed message stays hidden.
func (l *listener) pause(m *notify.Message) time.Duration {
	return min(l.Retry<<min(max(m.Tries-1, 0), maxDoublings), maxPause)
}

func (l *listener) hide(ctx context.Context, m *notify.Message, d time.Duration, log *slog.Logger) error {
	return l.settle(ctx, log, func(ctx context.Context) error { return m.Hide(ctx, d) })
}

// settle deletes or hides a message at the end of its processing. It is no error if
// another receiver has the message by now, or if the queue does not answer: the
// message returns by itself, and its iteration is then found in the warehouse.
func (l *listener) settle(ctx context.Context, log *slog.Logger, do func(context.Context) error) error {
	err := do(ctx)
	switch {
	case errors.Is(err, notify.ErrLost):
		log.Warn("another receiver has the message, which was processed for too long", "cause", err)
		return nil
	case err != nil && ctx.Err() == nil && patience.MayPass(err):
		log.Warn("the queue does not answer; the message will return by itself", "error", err)
		return nil
	}
	return err
}

// keepHidden hides the message from others until stop is called. The returned
// context ends if another receiver gets it all the same.
func (l *listener) keepHidden(ctx context.Context, m *notify.Message, log *slog.Logger) (_ context.Context, stop func()) {
	work, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		const part = 3 // of the time: leaves two more tries
		for patience.Sleep(work, l.Hidden/part) == nil {
			err := m.Hide(work, l.Hidden)
			switch {
			case work.Err() != nil:
			case errors.Is(err, notify.ErrLost):
				cancel(err)
			case err != nil:
				log.Warn("hiding the message for longer", "error", err)
			}
		}
	}()
	return work, func() {
		cancel(nil)
		<-ended
	}
}

// wants reports whether the project is chosen. Only patterns need its name, which it
// requests from the service.
func (l *listener) wants(ctx context.Context, project schema.ID) (bool, error) {
	if !l.Choice.has(project) {
		return false, nil
	}
	if len(l.Choice.Include)+len(l.Choice.Exclude) == 0 {
		return true, nil
	}
	p, err := l.Client.Project(ctx, project)
	return err == nil && l.Choice.hasName(p.Name), err
}

// export exports the iteration, unless the warehouse already has it.
func (l *listener) export(ctx context.Context, n notify.Notification) IterationResult {
	r := l.Request
	r.Project, r.Iteration, r.Log, r.Progress = n.Project, n.Iteration.String(), l.Log, l.Progress()
	out := exportUnless(ctx, l.Client, l.Store, r, current)
	out.ID = n.Iteration
	return out
}
