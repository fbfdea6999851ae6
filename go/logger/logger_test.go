// SPDX-License-Identifier: BSD-3-Clause

package logger_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	zmq "github.com/pebbe/zmq4"

	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
	"github.com/zeekzmq/zeek-zeromq/go/internal/vectors"
	"github.com/zeekzmq/zeek-zeromq/go/logbatch"
	"github.com/zeekzmq/zeek-zeromq/go/logger"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// notes is what a logger tells its operator.
type notes struct {
	mutex sync.Mutex
	bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return n.Buffer.Write(p)
}

func (n *notes) has(text string) int {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return strings.Count(n.String(), text)
}

// rig is a running logger and a sender.
type rig struct {
	*logger.Logger
	tb    testing.TB
	dir   string
	notes *notes
	push  *testkit.Peer
}

func start(tb testing.TB, cfg logger.Config) *rig {
	tb.Helper()
	r := &rig{tb: tb, notes: &notes{}}
	cfg.Log = slog.New(slog.NewTextHandler(r.notes, nil))
	if cfg.Dir == "" {
		cfg.Dir = tb.TempDir()
	}
	r.dir = cfg.Dir
	curve := cfg.Options.CurveServerSecretKey
	if curve == "" {
		cfg.Options = options.Default()
	}
	cfg.Options.ListenLogEndpoint = "tcp://127.0.0.1:*"
	var err error
	if r.Logger, err = logger.Start(cfg); err != nil {
		tb.Fatal(err)
	}
	if curve == "" {
		peers := testkit.NewPeers(tb)
		r.push = peers.Connect(r.Endpoint(), zmq.PUSH)
	}
	return r
}

// send sends a batch.
func (r *rig) send(payload []byte) {
	r.tb.Helper()
	r.push.SendParts("log-write", "node", logbatch.Format, string(payload))
}

func (r *rig) await(rows int) {
	r.tb.Helper()
	testkit.Eventually(r.tb, fmt.Sprintf("%d rows written", rows), func() bool { return r.Stats().Rows.Load() >= uint64(rows) })
}

// stop stops the logger and returns its files.
func (r *rig) stop() map[string]string {
	r.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		r.tb.Fatal(err)
	}
	return files(r.tb, r.dir)
}

func files(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	out := map[string]string{}
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				tb.Error(err)
			}
			name, _ := filepath.Rel(dir, path)
			out[name] = string(data)
		}
		return nil
	})
	return out
}

func names(files map[string]string) string {
	var out []string
	for name := range files {
		out = append(out, name)
	}
	sort.Strings(out)
	return strings.Join(out, " ")
}

// numbers makes a batch of counts from..to-1 in a column of the given name.
func numbers(tb testing.TB, path, column string, from, to int) []byte {
	tb.Helper()
	b, err := logbatch.NewBuilder(logbatch.Header{Path: path, Fields: []logbatch.Field{{Name: column, Type: logbatch.Count}}})
	if err != nil {
		tb.Fatal(err)
	}
	for ; from < to; from++ {
		b.Count(uint64(from))
	}
	p, err := b.Bytes()
	if err != nil {
		tb.Fatal(err)
	}
	return append([]byte(nil), p...)
}

// lines returns the records in all files, sorted by number.
func lines(files map[string]string) []string {
	var out []string
	for _, text := range files {
		for _, line := range strings.Split(text, "\n") {
			if line != "" && !strings.HasPrefix(line, "#") {
				out = append(out, line)
			}
		}
	}
	sort.Slice(out, func(i, j int) bool {
		return len(out[i]) < len(out[j]) || len(out[i]) == len(out[j]) && out[i] < out[j]
	})
	return out
}

// checkNumbers wants 0..n-1 in the files, each once.
func checkNumbers(tb testing.TB, files map[string]string, n int) {
	tb.Helper()
	got := lines(files)
	if len(got) != n {
		tb.Errorf("%d records, want %d", len(got), n)
	}
	for i, line := range got {
		if line != fmt.Sprint(i) {
			tb.Fatalf("record %d is %q", i, line)
		}
	}
}

var stamps = regexp.MustCompile(`(?m)^#(open|close)\t\d{4}(-\d\d){5}$`)

func TestFilesAreWhatZeekWrites(t *testing.T) {
	payload := vectors.Load(t, "bin-logs.json")[0].Payload
	for format, name := range map[logger.Format]string{logger.TSV: "vector.tsv.log", logger.JSON: "vector.json.log"} {
		r := start(t, logger.Config{Format: format, Fsync: logger.FsyncWrite})
		r.send(payload)
		r.await(3)
		got := r.stop()
		want := stamps.ReplaceAllString(string(vectors.File(t, name)), "#$1\t*")
		if text := stamps.ReplaceAllString(got["vector.log"], "#$1\t*"); text != want || len(got) != 1 {
			t.Errorf("%s: files %s\n%s\nwant\n%s", format, names(got), text, want)
		}
	}
}

func TestStopWritesWhatArrived(t *testing.T) {
	r := start(t, logger.Config{})
	const n = 400
	for i := range n {
		r.send(numbers(t, fmt.Sprintf("p%d", i%3), "n", i*50, i*50+50))
	}
	testkit.Eventually(t, "a first batch", func() bool { return r.Stats().Batches.Load() > 0 })
	got := r.stop()
	checkNumbers(t, got, n*50)
	if names(got) != "p0.log p1.log p2.log" {
		t.Errorf("files %s", names(got))
	}
	for name, text := range got {
		if !strings.HasSuffix(strings.TrimSpace(stamps.ReplaceAllString(text, "#$1")), "#close") {
			t.Errorf("%s has no #close", name)
		}
	}
}

const stamp = `\.\d{4}(-\d\d){5}(-\d+)?\.log`

func TestRotationBySize(t *testing.T) {
	r := start(t, logger.Config{RotateSize: 500})
	for i := range 20 {
		r.send(numbers(t, "a/conn", "n", i*200, i*200+200))
	}
	r.await(4000)
	got := r.stop()
	checkNumbers(t, got, 4000)
	if len(got) < 10 {
		t.Errorf("files %s", names(got))
	}
	for name, text := range got {
		if !regexp.MustCompile(`^a/conn` + stamp + `$`).MatchString(name) {
			t.Errorf("file %s", name)
		}
		if !strings.HasPrefix(text, "#separator") || !strings.Contains(text, "\n#close\t") {
			t.Errorf("%s is not complete", name)
		}
	}
}

func TestRotationByInterval(t *testing.T) {
	r := start(t, logger.Config{RotateInterval: time.Second, Format: logger.JSON})
	sent := 0
	testkit.Eventually(t, "three files", func() bool {
		r.send(numbers(t, "conn", "n", sent, sent+1))
		sent++
		time.Sleep(20 * time.Millisecond)
		return r.Stats().Rotations.Load() >= 3
	})
	r.await(sent)
	got := r.stop()
	if n := len(lines(got)); n != sent {
		t.Errorf("%d records, want %d", n, sent)
	}
	for name := range got {
		if !regexp.MustCompile(`^conn` + stamp + `$`).MatchString(name) {
			t.Errorf("file %s", name)
		}
	}
}

func TestCompression(t *testing.T) {
	for _, c := range []struct {
		how  logger.Compression
		ext  string
		open func(io.Reader) (io.Reader, error)
	}{
		{logger.Gzip, ".gz", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		{logger.Zstd, ".zst", func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) }},
	} {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, ".partial.x.gz"), []byte("left over"), 0o666)
		r := start(t, logger.Config{Dir: dir, RotateSize: 1000, Compress: c.how})
		for i := range 10 {
			r.send(numbers(t, "conn", "n", i*100, i*100+100))
		}
		r.await(1000)
		plain := map[string]string{}
		for name, data := range r.stop() {
			z, err := c.open(strings.NewReader(data))
			if err != nil || !strings.HasSuffix(name, ".log"+c.ext) {
				t.Fatalf("%s: %v", name, err)
			}
			text, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			plain[name] = string(text)
		}
		checkNumbers(t, plain, 1000)
	}
}

func TestOtherFieldsGetAnotherFile(t *testing.T) {
	r := start(t, logger.Config{})
	for i := range 10 {
		r.send(numbers(t, "conn", []string{"n", "m"}[i%2], i*10, i*10+10))
	}
	r.await(100)
	got := r.stop()
	checkNumbers(t, got, 100)
	if names(got) != "conn-2.log conn.log" || !strings.Contains(got["conn.log"], "#fields\tn\n") || !strings.Contains(got["conn-2.log"], "#path\tconn-2\n") {
		t.Errorf("%q", got)
	}
}

func TestManySchemasAreAllKept(t *testing.T) {
	r := start(t, logger.Config{})
	for i := range 20 {
		r.send(numbers(t, "conn", fmt.Sprint("f", i), i, i+1))
	}
	r.await(20)
	checkNumbers(t, r.stop(), 20)
}

func TestLogsOfAnEarlierProcessAreKept(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		r := start(t, logger.Config{Dir: dir})
		r.send(numbers(t, "conn", "n", i, i+1))
		r.await(1)
		r.stop()
	}
	got := files(t, dir)
	checkNumbers(t, got, 3)
	if len(got) != 3 || got["conn.log"] == "" {
		t.Errorf("files %s", names(got))
	}
}

func TestOneLoggerForAFolder(t *testing.T) {
	r := start(t, logger.Config{})
	o := options.Default()
	o.ListenLogEndpoint = "tcp://127.0.0.1:*"
	if _, err := logger.Start(logger.Config{Options: o, Dir: r.dir}); err == nil || !strings.Contains(err.Error(), "another logger") {
		t.Errorf("a second logger in the folder: %v", err)
	}
	r.stop()
}

// What cannot be written waits, the senders with it, and nothing is lost.
func TestUnwritableFolder(t *testing.T) {
	dir := t.TempDir()
	blocker := filepath.Join(dir, "sub")
	if err := os.WriteFile(blocker, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	r := start(t, logger.Config{Dir: dir, QueueBytes: 4000})
	const n = 300
	sent := testkit.Go(func() bool {
		for i := range n {
			r.send(numbers(t, "sub/conn", "n", i*20, i*20+20))
		}
		return true
	})
	testkit.Eventually(t, "the logger is blocked", r.Blocked)
	time.Sleep(200 * time.Millisecond)
	if got := r.Stats().Rows.Load(); got != 0 {
		t.Errorf("%d rows written", got)
	}
	if told := r.notes.has("cannot create"); told != 1 {
		t.Errorf("told %d times:\n%s", told, r.notes.String())
	}
	os.Remove(blocker)
	testkit.Result(t, "all is sent", sent)
	r.await(n * 20)
	os.Remove(blocker)
	got := r.stop()
	checkNumbers(t, got, n*20)
	if r.notes.has("can create") != 1 {
		t.Errorf("the end was not told:\n%s", r.notes.String())
	}
}

func TestStopGivesUpAndSaysSo(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sub"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	r := start(t, logger.Config{Dir: dir, QueueBytes: 500})
	for i := range 10 {
		r.send(numbers(t, "sub/conn", "n", i*20, i*20+20))
	}
	testkit.Eventually(t, "the logger is blocked", r.Blocked)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := r.Stop(ctx); err == nil || !strings.Contains(err.Error(), "10 log batches") {
		t.Errorf("stopped with %v", err)
	}
}

func TestDiskFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can mount a small file system to fill")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"); err != nil {
		t.Skipf("SKIPPED: cannot mount a small file system: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	ballast := filepath.Join(dir, ".ballast")
	if err := os.WriteFile(ballast, make([]byte, 100<<10), 0o666); err != nil {
		t.Fatal(err)
	}
	r := start(t, logger.Config{Dir: dir, QueueBytes: 100 << 10})
	const n = 100
	sent := testkit.Go(func() bool {
		for i := range n {
			r.send(numbers(t, "conn", "n", i*100, i*100+100))
		}
		return true
	})
	testkit.Eventually(t, "the disk is full", r.Blocked)
	if r.notes.has("no space left") != 1 {
		t.Errorf("not told, or not once:\n%s", r.notes.String())
	}
	os.Remove(ballast)
	testkit.Result(t, "all is sent", sent)
	r.await(n * 100)
	checkNumbers(t, r.stop(), n*100)
}

func TestGarbage(t *testing.T) {
	r := start(t, logger.Config{})
	good := numbers(t, "conn", "n", 0, 5)
	r.push.SendParts("log-write")
	r.push.SendParts("log-write", "node", "other-format", string(good))
	r.push.SendParts("log-write", "node", logbatch.Format, string(good), "more")
	for i := range len(good) {
		r.send(good[:i])
	}
	for _, path := range []string{"", "/etc/x", "../x", "a/../../x", ".hidden", "a//b", "x\x00y", strings.Repeat("x", 300), strings.Repeat("x/", 600) + "x"} {
		r.send(numbers(t, path, "n", 5, 6))
	}
	r.send(good)
	r.await(5)
	malformed := r.Stats().Malformed.Load()
	testkit.SendGarbage(t, r.Endpoint())
	got := r.stop()
	checkNumbers(t, got, 5)
	if names(got) != "conn.log" {
		t.Errorf("files %s", names(got))
	}
	st := r.Stats()
	if malformed != 3 || st.Invalid.Load() != uint64(len(good)+9) {
		t.Errorf("%d malformed, %d invalid, want 3 and %d", malformed, st.Invalid.Load(), len(good)+9)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	o := options.Default()
	o.ListenLogEndpoint = "tcp://127.0.0.1:*"
	for want, c := range map[string]logger.Config{
		"listen_log_endpoint": {Dir: "x"},
		"dir":                 {Options: o},
		"format":              {Options: o, Dir: "x", Format: "xml"},
		"compress":            {Options: o, Dir: "x", Compress: logger.Gzip},
		"fsync":               {Options: o, Dir: "x", Fsync: "maybe"},
		"rotate-interval":     {Options: o, Dir: "x", RotateInterval: -1},
		"rotate-size":         {Options: o, Dir: "x", RotateSize: -1},
		"queue-bytes":         {Options: o, Dir: "x", QueueBytes: -1},
	} {
		if _, err := logger.Start(c); err == nil || !strings.HasPrefix(err.Error(), want+" ") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestCurve(t *testing.T) {
	serverPublic, serverSecret := testkit.Keypair(t)
	public, secret := testkit.Keypair(t)
	otherPublic, otherSecret := testkit.Keypair(t)
	o := options.Default()
	o.CurveServerSecretKey, o.CurveClientPublicKey = serverSecret, public
	r := start(t, logger.Config{Options: o})
	peers := testkit.NewPeers(t)
	stranger := peers.Connect(r.Endpoint(), zmq.PUSH, testkit.CurveClient(serverPublic, otherPublic, otherSecret))
	stranger.SendParts("log-write", "node", logbatch.Format, string(numbers(t, "stranger", "n", 0, 1)))
	r.push = peers.Connect(r.Endpoint(), zmq.PUSH, testkit.CurveClient(serverPublic, public, secret))
	r.send(numbers(t, "conn", "n", 0, 3))
	r.await(3)
	if got := names(r.stop()); got != "conn.log" {
		t.Errorf("files %s", got)
	}
}

func TestParquetOpensElsewhere(t *testing.T) {
	r := start(t, logger.Config{Format: logger.Parquet})
	r.send(vectors.Load(t, "bin-logs.json")[0].Payload)
	r.send(numbers(t, "many", "n", 0, 120000))
	r.await(120003)
	got := r.stop()
	if names(got) != "many.parquet vector.parquet" {
		t.Fatalf("files %s", names(got))
	}
	if err := exec.Command("python3", "-c", "import pyarrow").Run(); err != nil {
		t.Skip("SKIPPED: there is no Python with pyarrow to read the files with")
	}
	cmd := exec.Command("python3", "-c", `
import sys, pyarrow.parquet as pq
t = pq.read_table(sys.argv[1] + "/vector.parquet")
print(",".join(t.column_names))
for f in t.schema: print(f.name, f.type)
for row in t.to_pylist(): print(row)
m = pq.ParquetFile(sys.argv[1] + "/many.parquet")
print(m.metadata.num_rows, m.metadata.num_row_groups, sum(m.read()["n"].to_pylist()))
`, r.dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"ts,b,i,c,d,iv,s,e,a4,a6,n4,n6,p,ss,sa,vc,vs,unset,empty_s,empty_set,weird\n",
		"ts timestamp[us, tz=UTC]\n", "b bool\n", "i int64\n", "c uint64\n", "d double\n", "e string\n", "p uint16\n", "vc list<element: uint64>\n",
		"'i': -4, 'c': 18446744073709551614, 'd': 0.1, 'iv': 1.5, 's': 'row 1', 'e': 'Vector::GREEN', 'a4': '192.0.2.1', 'a6': '2001:db8::1', " +
			"'n4': '10.0.0.0/8', 'n6': '2001:db8::/32', 'p': 53, 'ss': ['two,comma', 'one'], 'sa': ['10.0.0.1'], 'vc': [1, 2, 3], " +
			"'vs': ['a', '-', ''], 'unset': None, 'empty_s': '', 'empty_set': []",
		"datetime.datetime(2023, 11, 14, 22, 13, 21, 250000",
		"120000 3 7199940000\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
