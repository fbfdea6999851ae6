// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/zeekzmq/zeek-zeromq/go/broker"
	"github.com/zeekzmq/zeek-zeromq/go/engine"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// How long the broker's thread may take for a turn until it counts as stuck.
const aliveWithin = 2 * time.Second

func brokerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "broker",
		Short: "Run a cluster's central broker",
		Long: `Runs the central broker of a cluster in the place of the one that the manager runs by default:
set Cluster::Backend::ZeroMQ::run_proxy_thread = F on all nodes. It may be stopped and started
again; the nodes find it within their reconnect_interval_max.

With CURVE (--curve-server-secretkey-file), nodes need one of the allowed public keys: that of
--curve-client-publickey, or one of the file --allowed-keys-file, which has a key on each line,
"#" and what follows being a comment. SIGHUP reads the file again; connections that exist stay.

With --http-listen, /metrics is for Prometheus and /healthz says 200 while the broker works.
Under systemd (Type=notify) it tells when it is ready and feeds the watchdog. SIGTERM and SIGINT
end it after what has arrived was forwarded, within linger_ms.

Bounds: --max-message-size for each message; the number of connections is bounded by the limit of
open files (ulimit -n; a connection takes one).`,
		Example: `  zeek-zeromq broker
  zeek-zeromq broker --listen-xpub-endpoint tcp://192.0.2.1:5555 --listen-xsub-endpoint tcp://192.0.2.1:5556 \
      --curve-server-secretkey-file server.secret --allowed-keys-file nodes.keys --http-listen 127.0.0.1:9911`,
		Args: noArgs,
	}
	s := addOptions(cmd, "listen_xpub_endpoint", "listen_xsub_endpoint", "listen_xpub_nodrop", "ipv6", "linger_ms", "max_message_size",
		"proxy_io_threads", "heartbeat_interval", "heartbeat_timeout", "tcp_keepalive", "tcp_keepalive_idle",
		"curve_server_secretkey", "curve_client_publickey")
	b := &brokerService{s: s}
	cmd.Flags().StringVar(&b.keysFile, "allowed-keys-file", "", "`file` with the public keys of the clients that may connect")
	cmd.Flags().StringVar(&b.httpListen, "http-listen", "", "`address` of the HTTP server with /metrics and /healthz, such as 127.0.0.1:9911 (default: none)")
	cmd.Flags().BoolVarP(&b.checkOnly, "check", "t", false, "check options and files, and exit")
	logs := addLog(cmd, "info")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if b.log, err = logs.logger(cmd); err != nil {
			return err
		}
		return b.run(cmd.Context())
	}
	return cmd
}

// brokerService is the broker as a service.
type brokerService struct {
	s                    *settings
	keysFile, httpListen string
	checkOnly            bool
	log                  *slog.Logger

	broker  *broker.Broker
	stats   *broker.Stats
	started time.Time
}

// keys returns the keys that may connect.
func (b *brokerService) keys() ([]string, error) {
	var keys []string
	if b.s.CurveClientPublicKey != "" {
		keys = append(keys, b.s.CurveClientPublicKey)
	}
	if b.keysFile == "" {
		return keys, nil
	}
	text, err := os.ReadFile(b.keysFile)
	if err != nil {
		return nil, fmt.Errorf("--allowed-keys-file: %w", err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		// Z85 has a "#" of its own: a comment starts a line or follows a blank.
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") && len(fields[0]) != 40 {
			continue
		}
		if len(fields) > 1 && !strings.HasPrefix(fields[1], "#") {
			return nil, fmt.Errorf("%s:%d: one key on each line", b.keysFile, i+1)
		}
		o := options.Options{CurveClientPublicKey: fields[0]}
		if err := o.CheckKeys(); err != nil {
			_, what, _ := strings.Cut(err.Error(), ": ")
			return nil, fmt.Errorf("%s:%d: %s", b.keysFile, i+1, what)
		}
		keys = append(keys, fields[0])
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("--allowed-keys-file: %s has no keys: nobody could connect", b.keysFile)
	}
	return keys, nil
}

func (b *brokerService) run(ctx context.Context) error {
	if err := b.s.complete(); err != nil {
		return err
	}
	// Of the environment of a node, a broker uses half.
	b.s.CurveClientSecretKey = ""
	keys, err := b.keys()
	if err != nil {
		return usageError{err}
	}
	o := b.s.Options
	switch {
	case o.CurveServerSecretKey == "" && len(keys) > 0:
		return usagef("client keys are given and no server key: curve_server_secretkey is needed, too")
	case o.CurveServerSecretKey != "" && len(keys) == 0:
		return usagef("a server key is given and no client keys: curve_client_publickey or --allowed-keys-file is needed, too")
	case len(keys) > 0:
		o.CurveClientPublicKey = keys[0]
	}
	if b.checkOnly {
		return nil
	}

	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	notify := newNotifier()

	var listener net.Listener
	if b.httpListen != "" {
		if listener, err = net.Listen("tcp", b.httpListen); err != nil {
			return fmt.Errorf("--http-listen: %w", err)
		}
	}
	b.stats = broker.NewStats()
	if b.broker, err = broker.Start(o, b.stats, keys...); err != nil {
		if listener != nil {
			listener.Close()
		}
		return nicer(err)
	}
	b.started = time.Now()
	if listener != nil {
		server := &http.Server{Handler: b.handler(), ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(b.log.Handler(), slog.LevelWarn)}
		go server.Serve(listener)
		defer server.Close()
	}

	xpub, xsub := b.broker.Endpoints()
	attrs := []any{"listen_xpub_endpoint", xpub, "listen_xsub_endpoint", xsub, "curve", o.CurveServer(), "allowed_keys", len(keys), "version", version}
	if listener != nil {
		attrs = append(attrs, "http", listener.Addr().String())
	}
	b.log.Info("the broker is ready", attrs...)
	notify.send("READY=1\nSTATUS=XPUB " + xpub + ", XSUB " + xsub)

	for {
		select {
		case <-b.broker.Done():
			err := b.broker.Stop()
			return fmt.Errorf("the broker failed: %w", err)
		case <-ctx.Done():
			notify.send("STOPPING=1")
			b.log.Info("the broker is stopping")
			if err := b.broker.Stop(); err != nil {
				return err
			}
			b.log.Info("the broker has stopped", "messages", b.stats.FrontendMessagesReceived.Load())
			return nil
		case <-hup:
			notify.reloading()
			b.reload()
			notify.send("READY=1")
		case <-notify.tick:
			if b.broker.Alive(aliveWithin) {
				notify.send("WATCHDOG=1")
			} else {
				b.log.Error("the broker's thread does not respond")
			}
		}
	}
}

// reload reads the allowed keys again. With an error, the old ones stay.
func (b *brokerService) reload() {
	if b.keysFile == "" {
		b.log.Info("SIGHUP: there is no --allowed-keys-file to read again")
		return
	}
	keys, err := b.keys()
	if err == nil {
		err = b.broker.SetAllowed(keys)
	}
	if err != nil {
		b.log.Error("the allowed keys were not read again, the old ones stay", "error", err)
		return
	}
	slices.Sort(keys)
	b.log.Info("read the allowed keys again", "file", b.keysFile, "allowed_keys", len(slices.Compact(keys)))
}

// nicer says what is wrong with an endpoint in this program's words.
func nicer(err error) error {
	var e *engine.EndpointError
	if errors.As(err, &e) {
		return fmt.Errorf("%s %q: %w", e.Option, e.Endpoint, e.Err)
	}
	return err
}
