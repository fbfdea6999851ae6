// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/zeekzmq/zeek-zeromq/go/logger"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

func loggerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logger --listen-log-endpoint ENDPOINT --dir DIR",
		Short: "Write a cluster's logs, in the place of a Zeek logger",
		Long: `Receives the log batches of a cluster's nodes and writes them as a Zeek logger would: as TSV or JSON,
the same bytes, or as Apache Parquet. Nodes send their logs here with this endpoint in their
Cluster::Backend::ZeroMQ::connect_log_endpoints; several loggers there share the load.

Rotated files are called conn.2024-05-06-07-00-00.log, as Zeek's, by when the file was opened, or the
one before it rotated, in local time. A log that an earlier process left in DIR is kept under its rotated
name, not overwritten. Records of one path whose fields differ go to files of their own, conn-2.log and so on.

While a file cannot be written, because the disk is full, say, the logger tries again, and when
--queue-bytes are waiting it reads nothing more: the senders' queues fill next (log_sndhwm). Nothing
that was received is dropped.

SIGTERM and SIGINT end it after the senders have hung up and all that they sent was written; what cannot
be written within --stop-timeout is given up, with an error that says how much. A second signal gives up
at once.

With --http-listen, /metrics is for Prometheus and /healthz says 200 while all files can be written.`,
		Example: `  zeek-zeromq logger --listen-log-endpoint tcp://192.0.2.1:5557 --dir /var/log/zeek --rotate-interval 1h --compress zstd
  zeek-zeromq logger --listen-log-endpoint tcp://127.0.0.1:5557 --dir lake --format parquet --rotate-interval 10m`,
		Args: noArgs,
	}
	s := addOptions(cmd, "listen_log_endpoint", "log_rcvhwm", "log_rcvbuf", "ipv6", "max_message_size", "heartbeat_interval",
		"heartbeat_timeout", "tcp_keepalive", "tcp_keepalive_idle", "curve_server_secretkey", "curve_client_publickey")
	var cfg logger.Config
	var stopTimeout time.Duration
	var httpListen string
	f := cmd.Flags()
	f.StringVar(&cfg.Dir, "dir", "", "`folder` to write to; it is made if need be")
	f.StringVar((*string)(&cfg.Format), "format", string(logger.TSV), "`format` of the files: tsv, json or parquet")
	f.DurationVar(&cfg.RotateInterval, "rotate-interval", 0, "rotate files after this `time`, counted from midnight, such as 1h (default: never)")
	f.Int64Var(&cfg.RotateSize, "rotate-size", 0, "rotate a file that has this many `bytes` (default: never)")
	f.StringVar((*string)(&cfg.Compress), "compress", string(logger.NoCompression), "compress rotated files, `how`: none, gzip or zstd")
	f.StringVar((*string)(&cfg.Fsync), "fsync", string(logger.FsyncClose), "`when` to force files to the disk: never, close (when closed) or write (whenever all that arrived is written)")
	f.Int64Var(&cfg.QueueBytes, "queue-bytes", 64<<20, "`bytes` of batches that may wait for their files")
	f.DurationVar(&stopTimeout, "stop-timeout", 30*time.Second, "`time` to write what has arrived when stopped")
	f.StringVar(&httpListen, "http-listen", "", "`address` of the HTTP server with /metrics and /healthz, such as 127.0.0.1:9912 (default: none)")
	logs := addLog(cmd, "info")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if cfg.Log, err = logs.logger(cmd); err != nil {
			return err
		}
		if err := s.complete(); err != nil {
			return err
		}
		cfg.Options = s.Options
		if (cfg.Options.CurveServerSecretKey != "") != (cfg.Options.CurveClientPublicKey != "") {
			return usagef("CURVE takes two keys: curve_server_secretkey and curve_client_publickey; one is given")
		}
		return runLogger(cmd.Context(), cfg, stopTimeout, httpListen)
	}
	return cmd
}

func runLogger(ctx context.Context, cfg logger.Config, stopTimeout time.Duration, httpListen string) error {
	var listener net.Listener
	var err error
	if httpListen != "" {
		if listener, err = net.Listen("tcp", httpListen); err != nil {
			return fmt.Errorf("--http-listen: %w", err)
		}
		defer listener.Close()
	}
	notify := newNotifier()
	l, err := logger.Start(cfg)
	if err != nil {
		var bad *options.Error
		if errors.As(err, &bad) {
			return usageError{err}
		}
		return nicer(err)
	}
	attrs := []any{"listen_log_endpoint", l.Endpoint(), "dir", cfg.Dir, "format", cfg.Format, "curve", cfg.Options.CurveServer(), "version", version}
	if listener != nil {
		attrs = append(attrs, "http", listener.Addr().String())
		server := &http.Server{Handler: loggerHandler(l, time.Now()), ReadHeaderTimeout: 5 * time.Second,
			ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn)}
		go server.Serve(listener)
		defer server.Close()
	}
	cfg.Log.Info("the logger is ready", attrs...)
	notify.send("READY=1\nSTATUS=" + l.Endpoint())
	select {
	case <-ctx.Done():
	case <-l.Done():
	}

	notify.send("STOPPING=1")

	// The second signal ends the wait for files that cannot be written.
	again, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	limited, cancel := context.WithTimeout(again, stopTimeout)
	defer cancel()
	err = l.Stop(limited)
	st := l.Stats()
	cfg.Log.Info("the logger has stopped", "batches", st.Batches.Load(), "rows", st.Rows.Load(), "malformed", st.Malformed.Load(),
		"invalid", st.Invalid.Load(), "lost", st.Lost.Load())
	return err
}
