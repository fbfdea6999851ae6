// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/logger"
)

// loggerHandler serves /metrics and /healthz of a logger, on goroutines of the
// HTTP server's.
func loggerHandler(l *logger.Logger, started time.Time) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		writeLoggerMetrics(w, l, started)
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if l.Blocked() {
			http.Error(w, "a file cannot be written: see what the logger says", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ok\n")
	})
	return mux
}

// writeLoggerMetrics writes the logger's counters; what Zeek's telemetry has too
// is called the same.
func writeLoggerMetrics(w io.Writer, l *logger.Logger, started time.Time) {
	s := l.Stats()
	blocked := 0
	if l.Blocked() {
		blocked = 1
	}
	for _, m := range []struct {
		kind, name, help string
		value            any
	}{
		{"counter", "log_batches_received_total", "Log batches received.", s.Received.Load()},
		{"counter", "msg_errors_total", "Messages that are no log batches, ignored.", s.Malformed.Load()},
		{"counter", "invalid_logs_total", "Log batches that cannot be decoded, or have a path that names no file, ignored.", s.Invalid.Load()},
		{"counter", "logger_batches_written_total", "Log batches written.", s.Batches.Load()},
		{"counter", "logger_bytes_written_total", "Bytes of these, as received.", s.Bytes.Load()},
		{"counter", "logger_write_errors_total", "Failed tries to create, write, sync or rename a file.", s.WriteErrors.Load()},
		{"counter", "logger_rotations_total", "Files rotated.", s.Rotations.Load()},
		{"counter", "logger_batches_lost_total", "Log batches received and given up.", s.Lost.Load()},
		{"gauge", "logger_queued_bytes", "Bytes of batches received and not yet written.", l.Queued()},
		{"gauge", "logger_blocked", "1 while a file cannot be written.", blocked},
	} {
		fmt.Fprintf(w, "# HELP zeek_cluster_zeromq_%[2]s %[3]s\n# TYPE zeek_cluster_zeromq_%[2]s %[1]s\nzeek_cluster_zeromq_%[2]s %[4]v\n",
			m.kind, m.name, m.help, m.value)
	}

	const rows = "zeek_cluster_zeromq_logger_rows_written_total"
	fmt.Fprintf(w, "# HELP %[1]s Rows of these, by log.\n# TYPE %[1]s counter\n", rows)
	byPath := l.RowsByPath()
	paths := make([]string, 0, len(byPath))
	for path := range byPath {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	for _, path := range paths {
		fmt.Fprintf(w, "%s{path=\"%s\"} %d\n", rows, labelText.Replace(path), byPath[path])
	}
	writeProcessMetrics(w, started)
}

// labelText escapes a label's value.
var labelText = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
