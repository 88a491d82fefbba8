package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// prompter asks the person at a terminal.
type prompter struct {
	ctx    context.Context // an interrupt ends a question
	in     *bufio.Reader
	out    io.Writer              // an outlet
	hidden func() (string, error) // a line that is not shown
	reset  func()                 // leaves the terminal as it was, also after an interrupt
}

// newPrompter returns nil unless in is a terminal.
func newPrompter(ctx context.Context, in io.Reader, out io.Writer) *prompter {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	fd := int(f.Fd())
	state, err := term.GetState(fd)
	return &prompter{ctx: ctx, in: bufio.NewReader(f), out: out,
		hidden: func() (string, error) {
			text, err := term.ReadPassword(fd)
			return string(text), err
		},
		reset: func() {
			if err == nil {
				_ = term.Restore(fd, state) // nothing more can be done
			}
		}}
}

// ask returns the answer to a question; an empty one is the suggested.
func (p *prompter) ask(question, suggested string) (string, error) {
	if suggested != "" {
		question += " [" + suggested + "]"
	}
	fmt.Fprint(p.out, question+": ")
	text, err := p.await(func() (string, error) { return p.in.ReadString('\n') })
	if text = strings.TrimSpace(text); text == "" {
		text = suggested
	}
	return text, err
}

// askHidden returns an answer that the terminal does not show.
func (p *prompter) askHidden(question string) (string, error) {
	defer p.reset()
	fmt.Fprint(p.out, question+": ")
	text, err := p.await(p.hidden)
	fmt.Fprintln(p.out)
	return strings.TrimSpace(text), err
}

func (p *prompter) await(read func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() { // goes on after an interrupt, until the program ends
		text, err := read()
		got <- answer{text, err}
	}()
	select {
	case <-p.ctx.Done():
		fmt.Fprintln(p.out)
		return "", p.ctx.Err()
	case a := <-got:
		if a.err == io.EOF {
			fmt.Fprintln(p.out)
			return "", usageSeeHelp("the answers end before all is asked")
		}
		return a.text, a.err
	}
}
