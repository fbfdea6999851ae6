// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/zeekzmq/zeek-zeromq/go/event"
	"github.com/zeekzmq/zeek-zeromq/go/node"
)

func subCommand() *cobra.Command {
	c := &subscriber{}
	cmd := &cobra.Command{
		Use:   "sub TOPIC...",
		Short: "Follow events live",
		Long: `Follows the events that are published on topics that start with one of the given texts; "" is
all topics. It prints a line for each, when it arrived, the topic, and the event with its
arguments, until it is interrupted. No node notices it.

In text, arguments look as pub takes them. In JSON they are plain: types that JSON lacks are
strings, sets are arrays, tables are arrays of [key, value], intervals are seconds.

A reader of the output that is too slow loses events, never the cluster: losses are told on
stderr. Ctrl-Z does nothing, since a program that is stopped and listens would hold up the
cluster. Events that the nodes send to one process (zeek.cluster.nodeid.) are seen with shorter
topics, such as zeek.cluster.; a topic that starts so is refused, since nodes would greet the
subscriber as one of them.`,
		Example: `  zeek-zeromq sub ""
  zeek-zeromq sub zeek.cluster. --event 'Cluster::*' --format json
  zeek-zeromq sub my.topic. --count 1 --timeout 10s || echo "nothing came"`,
		Args: minArgs(1, "the topics to subscribe to"),
	}
	s := addClient(cmd)
	cmd.Flags().StringArrayVarP(&c.events, "event", "e", nil, "only events of this `name`; * and ? stand for any text and character; may be given several times")
	cmd.Flags().StringVar(&c.format, "format", "text", "`format` of the output: text or json")
	cmd.Flags().Uint64VarP(&c.count, "count", "n", 0, "end after so many `events`; 0: never")
	cmd.Flags().DurationVar(&c.timeout, "timeout", 0, "end after this `time`; 0: never. With --count, fewer events by then are a failure")
	cmd.Flags().IntVar(&c.queue, "queue", 65536, "`events` held for a slow reader")
	complete(cmd, "format", "text", "json")
	connect := addConnectTimeout(cmd)
	logs := addLog(cmd, "warn")
	cmd.RunE = func(cmd *cobra.Command, topics []string) error {
		log, err := logs.logger(cmd)
		if err != nil {
			return err
		}
		if c.format != "text" && c.format != "json" {
			return usagef("--format %q: must be text or json", c.format)
		}
		if c.queue < 1 {
			return usagef("--queue %d: must be at least 1", c.queue)
		}
		for _, e := range c.events {
			if _, err := path.Match(e, ""); err != nil {
				return usagef("--event %q: %w", e, err)
			}
		}
		if err := s.completeClient(); err != nil {
			return err
		}
		unstoppable()
		n, err := node.Connect(s.nodeOptions(log)...)
		if err != nil {
			return nicer(err)
		}
		defer n.Close()
		return c.run(cmd.Context(), n, topics, *connect, cmd.OutOrStdout(), func() { log.Info("subscribed", "topics", topics) })
	}
	return cmd
}

// addConnectTimeout adds the flag that bounds the wait for the broker.
func addConnectTimeout(cmd *cobra.Command) *time.Duration {
	return cmd.Flags().Duration("connect-timeout", 10*time.Second, "give up if the broker is not there by then")
}

type subscriber struct {
	events  []string
	format  string
	count   uint64
	timeout time.Duration
	queue   int
}

func (c *subscriber) run(ctx context.Context, n *node.Node, topics []string, connect time.Duration, to io.Writer, ready func()) error {
	// Topics that others start with are theirs already.
	slices.Sort(topics)
	sub := make(chan node.Message)
	done := make(chan struct{})
	defer close(done)
	var last *node.Subscription
	for i, topic := range topics {
		if slices.ContainsFunc(topics[:i], func(t string) bool { return len(t) <= len(topic) && topic[:len(t)] == t }) {
			continue
		}
		s, err := n.Subscribe(topic, c.queue)
		if err != nil {
			return usageError{err}
		}
		last = s
		go func() {
			for m := range s.C() {
				select {
				case sub <- m:
				case <-done:
					return
				}
			}
		}()
	}
	readyCtx, cancel := context.WithTimeout(ctx, connect)
	err := last.Ready(readyCtx)
	cancel()
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	ready()

	var timeout <-chan time.Time
	if c.timeout > 0 {
		timeout = time.After(c.timeout)
	}
	out := bufio.NewWriterSize(to, 64<<10)
	defer out.Flush()
	for printed := uint64(0); c.count == 0 || printed < c.count; {
		var m node.Message
		select {
		case m = <-sub:
		default:
			if err := out.Flush(); err != nil {
				return fmt.Errorf("cannot write: %w", err)
			}
			select {
			case m = <-sub:
			case <-ctx.Done():
				return nil
			case <-n.Done():
				return n.Err()
			case <-timeout:
				if c.count > 0 {
					return fmt.Errorf("%s of %d came within %v", plural(printed, "event"), c.count, c.timeout)
				}
				return nil
			}
		}
		if c.print(out, m) {
			printed++
		}
	}
	return nil
}

// line is a line of JSON.
type line struct {
	Time        time.Time  `json:"time"`
	Topic       string     `json:"topic"`
	Event       string     `json:"event,omitempty"`
	Args        []any      `json:"args"`
	NetworkTime *time.Time `json:"network_time,omitempty"`
	Error       string     `json:"error,omitempty"`
}

// writeJSON writes a value as a line of JSON that is safe for a terminal.
func writeJSON(to io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := to.Write(harmlessJSON(b.Bytes()))
	return err
}

// print prints a message, unless it is none of those asked for.
func (c *subscriber) print(out *bufio.Writer, m node.Message) bool {
	e, err := m.Event()
	if err != nil {
		e = &event.Event{}
	}
	if len(c.events) > 0 && !slices.ContainsFunc(c.events, func(p string) bool { ok, _ := path.Match(p, e.Name); return ok }) {
		return false
	}
	if c.format == "json" {
		l := line{Time: m.Received.UTC(), Topic: jsonString(m.Topic), Event: jsonString(e.Name), Args: jsonValues(e.Args)}
		if t, ok := e.Time(); ok {
			l.NetworkTime = &t
		}
		if err != nil {
			l.Error = err.Error()
		}
		writeJSON(out, l)
		return true
	}

	b := m.Received.UTC().AppendFormat(nil, "2006-01-02T15:04:05.000000Z")
	b = fmt.Appendf(b, " %s ", printable(m.Topic))
	if err != nil {
		b = fmt.Appendf(b, "cannot be decoded: %s\n", harmless(err.Error()))
	} else {
		b = append(b, printable(e.Name)...)
		b = append(appendTexts(b, '(', e.Args, ')'), '\n')
	}
	out.Write(b)
	return true
}
