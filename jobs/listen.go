package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/operation/notify"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// Queue is where notifications come from.
type Queue interface {
	// Receive returns the next message, hidden from others for a time; nil if there is none.
	Receive(ctx context.Context, hidden time.Duration) (*notify.Message, error)
}

// ListenOptions say how messages are worked off.
type ListenOptions struct {
	MaxTries  int                // a message whose try fails when it was received so often goes to the poison queue
	Hidden    time.Duration      // a message is kept from others this long, and again while it is worked on
	Poll      time.Duration      // between two looks at an empty queue
	UntilIdle bool               // end when the queue is empty
	Retry     time.Duration      // a message that failed comes back after this long, then twice as long, up to six hours
	Done      func(ProjectNight) // told of each iteration that was dealt with; may be nil
	Progress  func() Progress    // of one export; may be nil
	Log       *slog.Logger       // may be nil
}

// Listen exports each iteration whose training a message says has ended. A message
// is deleted only when its export is committed, or found to be there already; one
// that fails comes back later, and goes to the poison queue in the end. Other
// messages are deleted, also those about projects that the resource's choice does
// not want. It ends when ctx does, or the service or the queue refuses it: then
// every message would be refused. What the queue fails to do only now is no end.
func Listen(ctx context.Context, r Resource, queue Queue, o ListenOptions) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func() Progress { return silent{} }
	}
	if o.Done == nil {
		o.Done = func(ProjectNight) {}
	}
	l := listener{Resource: r, ListenOptions: o}
	l.Log = o.Log.With("resource", r.Name)
	for failed := 0; ; {
		m, err := queue.Receive(ctx, o.Hidden)
		if err == nil {
			failed = 0
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			if failed++; failed > maxOutage || !notify.MayPass(err) {
				return err
			}
			l.Log.Warn("the queue does not answer; trying again", "error", err)
			if err := sleep(ctx, o.Poll); err != nil {
				return err
			}
			continue
		case m == nil && o.UntilIdle:
			return nil
		case m == nil:
			if err := sleep(ctx, o.Poll); err != nil {
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

// handle works off one message. Its error ends the listening.
func (l *listener) handle(ctx context.Context, m *notify.Message) error {
	log := l.Log.With("message", m.ID, "attempt", m.Tries)
	n, err := notify.Parse(m.Text)
	if err != nil {
		log.Error("a message that nobody can read goes to the poison queue", "error", err)
		return l.poison(ctx, m, log)
	}
	log = log.With("type", n.Type)
	if n.Type != notify.Training {
		log.Info("a message of no concern")
		return l.settle(ctx, log, m.Delete)
	}
	log = log.With("project", n.Project, "iteration", n.Iteration)
	if n.Status != notify.TrainingCompleted {
		log.Warn("a training has not ended well, so there is nothing to export", "status", n.Status)
		return l.settle(ctx, log, m.Delete)
	}
	if m.Tries > hopeless*l.MaxTries {
		log.Error("a message that was received again and again goes to the poison queue untried: see what ends the listener each time, such as too little memory")
		return l.poison(ctx, m, log)
	}
	work, stop := l.keep(ctx, m, log)
	it := IterationNight{ID: n.Iteration}
	wanted, err := l.wants(work, n.Project)
	if wanted && err == nil {
		it, err = l.export(work, n)
	}
	stop()
	p := ProjectNight{ID: n.Project, Iterations: []IterationNight{it}}
	switch {
	case err == nil && !wanted:
		log.Info("a message about a project that is not among those wanted")
		return l.settle(ctx, log, m.Delete)
	case err == nil:
		log.Info("the iteration is in the warehouse", "outcome", it.Outcome)
		l.Done(p)
		return l.settle(ctx, log, m.Delete)
	case ctx.Err() != nil:
		return giveBack(ctx, m, log)
	case errors.Is(context.Cause(work), notify.ErrLost):
		log.Warn("another receiver has the message, and goes on with it", "cause", err)
		return nil
	}
	p.Iterations[0].Outcome, p.Iterations[0].Err = FailedToDo, err
	l.Done(p)
	keyRefused := extract.AuthRefused(err) // which is no fault of the message
	if m.Tries >= l.MaxTries && !keyRefused {
		log.Error("the iteration failed too often; its message goes to the poison queue", "error", err)
		return l.poison(ctx, m, log)
	}
	after := l.pause(m)
	log.Error("the iteration failed; the message comes back", "after", after, "error", err)
	if hideErr := l.hide(ctx, m, after, log); hideErr != nil || !keyRefused {
		return hideErr
	}
	return err
}

const (
	maxOutage       = 60 // polls in a row
	giveBackTimeout = 10 * time.Second
	maxDoublings    = 8
	longestPause    = 6 * time.Hour // the queue itself allows 7 days, after which it drops messages
	poisonPause     = time.Minute   // at least

	// Messages are received without a failure too: by listeners that are stopped, or
	// killed. Those of so many times MaxTries are likely to be what kills them.
	hopeless = 10
)

// giveBack gives the message back at once, so that another listener can begin.
func giveBack(ctx context.Context, m *notify.Message, log *slog.Logger) error {
	back, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackTimeout)
	defer cancel()
	if err := m.Hide(back, 0); err != nil {
		log.Warn("giving the message back; it comes back by itself", "error", err)
	}
	return ctx.Err()
}

// poison moves the message to the poison queue. Where that fails, it stays here and
// comes back: one message must not keep the listener from all others.
func (l *listener) poison(ctx context.Context, m *notify.Message, log *slog.Logger) error {
	err := m.Poison(ctx)
	switch {
	case err == nil:
		return l.settle(ctx, log, m.Delete)
	case ctx.Err() != nil:
		return giveBack(ctx, m, log)
	}
	after := max(l.pause(m), poisonPause)
	log.Error("the message stays in the queue, and comes back", "after", after, "error", err)
	return l.hide(ctx, m, after, log)
}

// pause is how long a message that failed is kept back.
func (l *listener) pause(m *notify.Message) time.Duration {
	return min(l.Retry<<min(max(m.Tries-1, 0), maxDoublings), longestPause)
}

func (l *listener) hide(ctx context.Context, m *notify.Message, d time.Duration, log *slog.Logger) error {
	return l.settle(ctx, log, func(ctx context.Context) error { return m.Hide(ctx, d) })
}

// settle does the last thing about a message. That another receiver has it by now
// is no error: what is exported is exported. Nor is a queue that does not answer:
// the message comes back by itself, and is found to be dealt with.
func (l *listener) settle(ctx context.Context, log *slog.Logger, do func(context.Context) error) error {
	err := do(ctx)
	switch {
	case errors.Is(err, notify.ErrLost):
		log.Warn("a message was kept too long", "cause", err)
		return nil
	case err != nil && ctx.Err() == nil && notify.MayPass(err):
		log.Warn("the queue does not answer; the message comes back by itself", "error", err)
		return nil
	}
	return err
}

// keep keeps the message from others until stop is called. The context it returns
// ends when that fails for good.
func (l *listener) keep(ctx context.Context, m *notify.Message, log *slog.Logger) (context.Context, func()) {
	work, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		const part = 3 // of its time: two more tries before it is up
		for sleep(work, l.Hidden/part) == nil {
			err := m.Hide(work, l.Hidden)
			switch {
			case work.Err() != nil:
			case errors.Is(err, notify.ErrLost):
				cancel(err)
			case err != nil:
				log.Warn("keeping the message", "error", err)
			}
		}
	}()
	return work, func() {
		cancel(nil)
		<-ended
	}
}

// wants reports whether the choice wants a project. For its patterns it asks the
// service for the name.
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

// export exports the iteration, unless the warehouse holds it as it is.
func (l *listener) export(ctx context.Context, n notify.Notification) (IterationNight, error) {
	out := IterationNight{ID: n.Iteration}
	it, err := l.Client.Iteration(ctx, n.Project, n.Iteration)
	if err != nil {
		return out, err
	}
	out.Name, out.Status = it.Name, it.Status
	h, held, err := load.ReadIteration(ctx, l.Store, n.Project, it.ID)
	if err != nil {
		return out, err
	}
	if held && current(it, h) {
		out.Outcome = Present
		return out, nil
	}
	r := l.Request
	r.Project, r.Iteration, r.Log, r.Progress = n.Project, n.Iteration.String(), l.Log, l.Progress()
	result, err := Export(ctx, l.Client, l.Store, r)
	switch {
	case err == nil:
		out.Outcome, out.Result = Exported, &result
	case errors.Is(err, store.ErrConflict) && committedElsewhere(ctx, l.Store, n.Project, it, l.Log) != nil:
		out.Outcome = Elsewhere
		return out, nil
	case errors.Is(err, errFewer):
		out.Outcome, out.Err = Kept, err
		return out, nil
	default:
		err = fmt.Errorf("exporting iteration %s of project %s: %w", n.Iteration, n.Project, err)
	}
	return out, err
}
