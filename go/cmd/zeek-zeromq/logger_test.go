// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	zmq "github.com/pebbe/zmq4"

	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
	"github.com/zeekzmq/zeek-zeromq/go/logbatch"
)

// The program as a logger: ready, metrics, health, and its end.
func TestLogger(t *testing.T) {
	endpoint, address, dir := testkit.FreeEndpoint(t), testkit.HostPort(testkit.FreeEndpoint(t)), t.TempDir()
	blocker := filepath.Join(dir, "sub")
	if err := os.WriteFile(blocker, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	l := launch(t, "logger", "--listen-log-endpoint", endpoint, "--dir", dir, "--http-listen", address)
	l.awaitErr("the logger is ready")
	health := func() int {
		code, _ := get(t, "http://"+address+"/healthz")
		return code
	}
	metric := func(line string) bool {
		_, body := get(t, "http://"+address+"/metrics")
		return strings.Contains(body, "\nzeek_cluster_zeromq_"+line+"\n")
	}
	if code := health(); code != http.StatusOK {
		t.Errorf("health: %d", code)
	}

	push := testkit.NewPeers(t).Connect(endpoint, zmq.PUSH)
	push.SendParts("log-write", "node", logbatch.Format, testkit.LogBatch(t))
	push.SendParts("log-write")
	testkit.Eventually(t, "a batch written", func() bool {
		return metric(`logger_rows_written_total{path="vector"} 3`) && metric("log_batches_received_total 1") && metric("msg_errors_total 1")
	})
	blocked, err := logbatch.NewBuilder(logbatch.Header{Path: "sub/x", Fields: []logbatch.Field{{Name: "n", Type: logbatch.Count}}})
	if err != nil {
		t.Fatal(err)
	}
	blocked.Count(1)
	payload, err := blocked.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	push.SendParts("log-write", "node", logbatch.Format, string(payload))
	testkit.Eventually(t, "a file that cannot be written is told", func() bool {
		return health() == http.StatusServiceUnavailable && metric("logger_blocked 1")
	})
	os.Remove(blocker)
	testkit.Eventually(t, "it is written after all", func() bool { return metric("logger_batches_written_total 2") && metric("logger_blocked 0") })

	l.cancel()
	l.exits(exitOK)
	text, err := os.ReadFile(filepath.Join(dir, "sub", "x.log"))
	if err != nil || !strings.Contains(string(text), "\n1\n#close\t") {
		t.Errorf("sub/x.log: %v\n%s", err, text)
	}
}

// What is wrong is said in one line, with its value, and leaves the exit code for it.
func TestLoggerBadInput(t *testing.T) {
	endpoint, dir := testkit.FreeEndpoint(t), t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	public, secret := testkit.Keypair(t)
	base := "logger --listen-log-endpoint " + endpoint + " --dir " + dir + " "
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"logger --dir " + dir, exitUsage, "listen_log_endpoint"},
		{"logger --listen-log-endpoint " + endpoint, exitUsage, "dir"},
		{"logger --dir " + dir + " --listen-log-endpoint nonsense", exitFailed, `listen_log_endpoint "nonsense"`},
		{"logger --dir " + dir + " --listen-log-endpoint tcp://" + taken.Addr().String(), exitFailed, "Address already in use"},
		{"logger --listen-log-endpoint " + endpoint + " --dir " + file, exitFailed, file},
		{base + "--format xml", exitUsage, "xml"},
		{base + "--compress lzma", exitUsage, "lzma"},
		{base + "--compress gzip", exitUsage, "rotation"},
		{base + "--compress gzip --rotate-size 5 --format parquet", exitUsage, "parquet"},
		{base + "--fsync perhaps", exitUsage, "perhaps"},
		{base + "--rotate-interval 1ms", exitUsage, "1ms"},
		{base + "--rotate-size -1", exitUsage, "-1"},
		{base + "--queue-bytes -1", exitUsage, "-1"},
		{base + "--http-listen " + taken.Addr().String(), exitFailed, "--http-listen"},
		{base + "--curve-client-publickey " + public, exitUsage, "two keys"},
		{base + "--curve-server-secretkey " + secret, exitUsage, "two keys"},
		{base + "extra", exitUsage, "extra"},
	} {
		p := launch(t, strings.Fields(c.args)...)
		p.exits(c.code)
		if text := p.err.String(); !strings.Contains(text, c.want) || strings.Count(text, "\n") != 1 || strings.Contains(text, secret) {
			t.Errorf("%s: %q, want one line with %q", c.args, text, c.want)
		}
	}
}
