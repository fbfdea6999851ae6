// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/zeekzmq/zeek-zeromq/go/event"
	"github.com/zeekzmq/zeek-zeromq/go/node"
)

func pubCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pub TOPIC EVENT [ARGUMENT...]",
		Short: "Publish an event",
		Long: `Publishes one event to the subscribers of a topic. Zeek converts nothing: number and types of the
arguments must be those of the event's declaration. Types follow from how an argument is written:

  T F              bool         192.0.2.1 2001:db8::1     addr
  7                count        10.0.0.0/8 2001:db8::/32  subnet
  +7 -7            int          53/udp                    port
  1.5 1e9          double       2026-01-02T15:04:05Z      time
  '"text"'         string       1m30s 500ms               interval
  Notice::LOG      enum         -                         an unset field
  '[1, "a", -]'    vector or record, its fields in order
  '{1, 2}' '{}'    set          '{1 -> "a"}' '{->}'       table

or are given before a colon: string:text, count:7, int:7, double:1, time:1767366245.5 (seconds),
interval:90 (seconds), addr:, subnet:, port:, bool:, enum:, pattern:. After string: nothing is
special.`,
		Example: `  zeek-zeromq pub zeek.cluster.worker Demo::ping 7 string:hello 192.0.2.1
  zeek-zeromq pub zeek.cluster.node.worker-1. Demo::scan '{10.0.0.0/8, 192.168.0.0/16}' interval:2.5
  zeek-zeromq pub my.topic Demo::record -- '[1, -, "x"]' -5`,
		Args: minArgs(2, "a topic, an event's name, and its arguments"),
	}
	s := addClient(cmd)
	format := cmd.Flags().String("format", event.BrokerBinV1.String(), "`format` on the wire, that of the cluster's nodes: broker-bin-v1 or broker-json-v1")
	stamp := cmd.Flags().Bool("network-timestamp", false, "add the present time as the event's network timestamp")
	complete(cmd, "format", event.BrokerBinV1.String(), event.BrokerJSONV1.String())
	connect := addConnectTimeout(cmd)
	logs := addLog(cmd, "warn")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		log, err := logs.logger(cmd)
		if err != nil {
			return err
		}
		topic, e := args[0], &event.Event{Name: args[1]}
		if topic == "" {
			return usagef("the topic is empty")
		}
		for i, arg := range args[2:] {
			v, err := parseArg(arg)
			if err != nil {
				return usagef("argument %d: %w", i+1, err)
			}
			e.Args = append(e.Args, v)
		}
		if *stamp {
			e.SetTime(time.Now())
		}
		f, err := event.ParseFormat(*format)
		if err != nil {
			return usagef("--format %q: must be broker-bin-v1 or broker-json-v1", *format)
		}
		if _, err := event.Encode(f, e); err != nil {
			return usageError{err}
		}
		if err := s.completeClient(); err != nil {
			return err
		}

		var heard atomic.Bool
		n, err := node.Connect(append(s.nodeOptions(log), node.Format(f), node.ReadyTimeout(*connect),
			node.OnSubscription(func(prefix string, on bool) {
				if on && strings.HasPrefix(topic, prefix) {
					heard.Store(true)
				}
			}))...)
		if err != nil {
			return nicer(err)
		}
		err = n.Publish(cmd.Context(), topic, e)
		if err == nil && !heard.Load() {
			log.Warn("nobody has subscribed to the topic: the event reaches no one", "topic", topic)
		}
		if errors.Is(err, context.Canceled) {
			err = errors.New("interrupted before the event was sent")
		}
		return errors.Join(err, n.Close())
	}
	return cmd
}
