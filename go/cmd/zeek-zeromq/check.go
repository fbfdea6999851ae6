// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zeekzmq/zeek-zeromq/go/event"
	"github.com/zeekzmq/zeek-zeromq/go/node"
)

// What check exits with: the code of the first step that failed, and this much
// more if that was a logger's.
const (
	exitResolve = 3 + iota
	exitConnect
	exitGreeting
	exitMechanism
	exitHandshake
	exitSubscription
	exitEvent

	exitLogger = 10
)

func checkCommand() *cobra.Command {
	c := &checker{}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Find out why a broker or logger cannot be reached",
		Long: `Tries step by step what a node does to reach the broker, and the loggers given by
--connect-log-endpoints, with the same keys, and prints a line for each step: the host's name, the
TCP connection, ZMTP's greeting, whether both ends encrypt, and the handshake with keys and kinds
of sockets; then a subscription and an event that go through the broker and back, on a topic that
nobody else has. Nodes do not notice it, and no log is written.

Exit codes: 0 if all is well, 1 if it was interrupted, 2 for bad arguments, and otherwise that of
the first step that failed:

   3  the broker's name cannot be resolved        13  a logger's name cannot be resolved
   4  no TCP connection                           14  likewise
   5  what answers does not speak ZMTP 3          15  likewise
   6  one side encrypts, the other does not       16  likewise
   7  the handshake fails: keys, kind of socket   17  likewise
   8  subscriptions do not come back
   9  events do not come back`,
		Example: `  zeek-zeromq check --broker manager.example.org
  zeek-zeromq check --connect-log-endpoints tcp://192.0.2.1:5557 --timeout 2s --json`,
		Args: noArgs,
	}
	names := append([]string{"connect_log_endpoints"}, clientOptions...)
	c.s = addOptions(cmd, names...)
	addBroker(cmd, c.s)
	cmd.Flags().DurationVar(&c.timeout, "timeout", 5*time.Second, "`time` for each step")
	cmd.Flags().BoolVar(&c.json, "json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if c.timeout <= 0 {
			return usagef("--timeout %v: must be more than 0", c.timeout)
		}
		if err := c.s.completeClient(); err != nil {
			return err
		}
		return c.run(cmd.Context(), cmd.OutOrStdout())
	}
	return cmd
}

// checker is a run of check.
type checker struct {
	s       *settings
	timeout time.Duration
	json    bool
}

// step is what came of a step. Its names are the output's.
type step struct {
	Target   string  `json:"target"` // broker xpub, broker xsub, logger, broker
	Endpoint string  `json:"endpoint,omitempty"`
	Step     string  `json:"step"`
	OK       bool    `json:"ok"`
	Detail   string  `json:"detail"`
	Ms       float64 `json:"ms"`
	code     int
}

// result is the whole output as JSON.
type result struct {
	OK       bool    `json:"ok"`
	ExitCode int     `json:"exit_code"`
	Steps    []*step `json:"steps"`
}

func (c *checker) run(ctx context.Context, out io.Writer) error {
	targets, err := c.targets()
	if err != nil {
		return err
	}
	// All at once: one that does not answer holds up nobody.
	for _, t := range targets {
		go t.run(ctx, c.timeout)
	}
	var r result
	told := func(s *step) {
		r.Steps = append(r.Steps, s)
		if !s.OK && r.ExitCode == 0 {
			r.ExitCode = s.code
		}
		if !c.json {
			s.print(out)
		}
	}
	for _, t := range targets {
		for s := range t.steps {
			told(s)
		}
	}
	if r.ExitCode == 0 || r.ExitCode > exitLogger {
		c.roundTrip(ctx, told)
	}
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if r.OK = r.ExitCode == 0; c.json {
		if err := writeJSON(out, r); err != nil {
			return err
		}
	}
	if !r.OK {
		return exitError{errors.New(""), r.ExitCode} // the steps have said it
	}
	return nil
}

func (s *step) print(out io.Writer) {
	mark := "ok  "
	if !s.OK {
		mark = "FAIL"
	}
	fmt.Fprintf(out, "%s %-11s %s %-12s %s\n", mark, s.Target, printable(s.Endpoint), s.Step, harmless(s.Detail))
}

// do runs a step and tells of it.
func do(s step, code int, told func(*step), f func() (string, error)) bool {
	begun := time.Now()
	detail, err := f()
	s.Ms, s.OK, s.Detail = float64(time.Since(begun).Microseconds())/1000, err == nil, detail
	if err != nil {
		s.Detail, s.code = strings.ReplaceAll(err.Error(), "\n", " "), code
	}
	told(&s)
	return s.OK
}

// roundTrip sends a subscription and an event through the broker.
func (c *checker) roundTrip(ctx context.Context, told func(*step)) {
	o := &c.s.Options
	target := step{Target: "broker", Endpoint: o.ConnectXSubEndpoint}
	silent := slog.New(slog.NewTextHandler(io.Discard, nil))
	var receiver *node.Node
	defer func() {
		if receiver != nil {
			receiver.Close()
		}
	}()
	var sub *node.Subscription
	within := func() (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, c.timeout) }

	target.Step = "subscription"
	if !do(target, exitSubscription, told, func() (_ string, err error) {
		ctx, cancel := within()
		defer cancel()
		if receiver, err = node.Connect(c.s.nodeOptions(silent)...); err != nil {
			return "", nicer(err)
		}
		if sub, err = receiver.Subscribe("zeek.zeromq.internal."+receiver.ID()+".check.", 16); err != nil {
			return "", err
		}
		if err = sub.Ready(ctx); err != nil {
			return "", fmt.Errorf("did not come back within %v: %w", c.timeout, err)
		}
		return "came back over " + o.ConnectXPubEndpoint, nil
	}) {
		return
	}

	target.Step = "event"
	do(target, exitEvent, told, func() (string, error) {
		ctx, cancel := within()
		defer cancel()
		sender, err := node.Connect(c.s.nodeOptions(silent)...)
		if err != nil {
			return "", nicer(err)
		}
		defer sender.Close()
		if err := sender.Publish(ctx, sub.Prefix(), &event.Event{Name: "Cluster::Backend::ZeroMQ::check"}); err != nil {
			return "", err
		}
		if _, err := sub.Next(ctx); err != nil {
			return "", fmt.Errorf("was sent to %s and did not come within %v", o.ConnectXPubEndpoint, c.timeout)
		}
		return "came from another connection", nil
	})
}
