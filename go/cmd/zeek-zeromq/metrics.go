// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"time"
)

// handler serves /metrics, in Prometheus's text format, and /healthz.
func (b *brokerService) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		b.writeMetrics(w)
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if !b.broker.Alive(aliveWithin) {
			http.Error(w, "the broker's thread does not respond", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ok\n")
	})
	return mux
}

// writeMetrics writes the broker's counters under the names that they have in
// Zeek's telemetry.
func (b *brokerService) writeMetrics(w io.Writer) {
	metric := func(kind, name, help string, value any) {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %[1]s %[3]s\n%[1]s %[4]v\n", name, help, kind, value)
	}
	const prefix = "zeek_cluster_zeromq_proxy_"
	s := b.stats
	for _, c := range []struct {
		name, help string
		value      uint64
	}{
		{"frontend_messages_received", "Events that nodes sent to the broker.", s.FrontendMessagesReceived.Load()},
		{"frontend_bytes_received", "Bytes of these.", s.FrontendBytesReceived.Load()},
		{"frontend_messages_sent", "Subscription changes passed on to the nodes.", s.FrontendMessagesSent.Load()},
		{"frontend_bytes_sent", "Bytes of these.", s.FrontendBytesSent.Load()},
		{"backend_messages_received", "Subscription changes that nodes made.", s.BackendMessagesReceived.Load()},
		{"backend_bytes_received", "Bytes of these.", s.BackendBytesReceived.Load()},
		{"backend_messages_sent", "Events passed on, each counted once, however many nodes receive it.", s.BackendMessagesSent.Load()},
		{"backend_bytes_sent", "Bytes of these.", s.BackendBytesSent.Load()},
	} {
		metric("counter", prefix+c.name+"_total", c.help, c.value)
	}
	writeProcessMetrics(w, b.started)
}

func writeProcessMetrics(w io.Writer, started time.Time) {
	fmt.Fprintf(w, "# HELP process_start_time_seconds Start time, in seconds since 1970.\n# TYPE process_start_time_seconds gauge\n"+
		"process_start_time_seconds %.3f\n", float64(started.UnixMilli())/1000)
	fmt.Fprintf(w, "# HELP zeek_zeromq_build_info Versions of the program and of Go.\n# TYPE zeek_zeromq_build_info gauge\n"+
		"zeek_zeromq_build_info{version=%q,goversion=%q} 1\n", version, runtime.Version())
}
