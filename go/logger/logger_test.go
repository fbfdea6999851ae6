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
	"runtime"
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

func (n *notes) String() string {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return n.Buffer.String()
}

func (n *notes) has(text string) int { return strings.Count(n.String(), text) }

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
	testkit.Eventually(t, "all is received", func() bool { return r.Stats().Received.Load() == n })
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

// A path that is busy when it is to rotate does so once: no row is in a file that is called after a later time.
func TestBusyPathRotatesOnce(t *testing.T) {
	r := start(t, logger.Config{RotateInterval: time.Second, Format: logger.JSON})
	began := time.Now()
	var slowest time.Duration
	for sent := 0; time.Since(began) < 4*time.Second; {
		now := time.Now()
		b, err := logbatch.NewBuilder(logbatch.Header{Path: "conn", Fields: []logbatch.Field{{Name: "ms", Type: logbatch.Count}}})
		if err != nil {
			t.Fatal(err)
		}
		for range 50000 {
			b.Count(uint64(now.UnixMilli()))
			sent++
		}
		payload, err := b.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		r.send(payload)
		r.await(sent)
		slowest = max(slowest, time.Since(now))
	}
	got := r.stop()
	for name, text := range got {
		opened, err := time.ParseInLocation("conn.2006-01-02-15-04-05.log", name, time.Local)
		if err != nil {
			t.Errorf("file %s: %v", name, err)
			continue
		}
		var ms int64
		if _, err := fmt.Sscanf(text, `{"ms":%d}`, &ms); err != nil {
			t.Fatal(err)
		}
		if early := opened.Sub(time.UnixMilli(ms)); early > slowest {
			t.Errorf("%s begins with a row of %v before, rows were written within %v", name, early, slowest)
		}
	}
	if len(got) < 3 {
		t.Errorf("files %s", names(got))
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

// A write that the kernel takes a part of, and then none.
func TestFilesAtTheirLimit(t *testing.T) {
	if !testkit.InChild(t) {
		return
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = 10007
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &low); err != nil {
		t.Fatal(err)
	}
	r := start(t, logger.Config{QueueBytes: 100 << 10})
	const n = 100
	sent := testkit.Go(func() bool {
		for i := range n {
			r.send(numbers(t, "conn", "n", i*100, i*100+100))
		}
		return true
	})
	testkit.Eventually(t, "the file is at its limit", r.Blocked)
	if r.notes.has("file too large") != 1 || r.Stats().WriteErrors.Load() == 0 {
		t.Errorf("not told, or not once:\n%s", r.notes.String())
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	testkit.Result(t, "all is sent", sent)
	r.await(n * 100)
	checkNumbers(t, r.stop(), n*100)
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

// pyarrow returns a Python that has pyarrow: the system's, or one in a folder of the build, where it is installed.
func pyarrow(t *testing.T) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	venv := filepath.Join(filepath.Dir(here), "..", "..", "build", "tools", "pyarrow")
	has := func(python string) bool { return exec.Command(python, "-c", "import pyarrow.parquet").Run() == nil }
	for _, python := range []string{"python3", filepath.Join(venv, "bin", "python3")} {
		if has(python) {
			return python
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	python := filepath.Join(venv, "bin", "python3")
	for _, command := range [][]string{
		{"python3", "-m", "venv", venv},
		{python, "-m", "pip", "install", "--quiet", "--retries", "1", "pyarrow"},
	} {
		if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: no pyarrow to read Parquet with: %s: %v %.300s", strings.Join(command, " "), err, out)
		}
	}
	if !has(python) {
		t.Skip("SKIPPED: no pyarrow to read Parquet with: it was installed, and cannot be imported")
	}
	return python
}

// Another reader of Parquet finds the same types and values as are in the TSV logs.
func TestParquetIsReadElsewhere(t *testing.T) {
	conn, err := logbatch.NewBuilder(logger.ConnHeader)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3000 {
		logger.AddConn(conn, i)
	}
	batch, err := conn.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	batches := [][]byte{vectors.Load(t, "bin-logs.json")[0].Payload, batch, numbers(t, "many", "n", 0, 120000)}
	var dirs []string
	for _, format := range []logger.Format{logger.Parquet, logger.TSV} {
		r := start(t, logger.Config{Format: format})
		for _, b := range batches {
			r.send(b)
		}
		r.await(123003)
		dirs = append(dirs, r.dir)
		if got, want := len(r.stop()), len(batches); got != want {
			t.Fatalf("%s: %d files, want %d", format, got, want)
		}
	}
	python := pyarrow(t)
	for path, want := range map[string]string{
		"vector": "3 rows of 21 columns are the same, in 1 row groups\n",
		"bench":  "3000 rows of 15 columns are the same, in 1 row groups\n",
		"many":   "120000 rows of 1 columns are the same, in 3 row groups\n",
	} {
		out, err := exec.Command(python, "testdata/compare.py", filepath.Join(dirs[0], path+".parquet"), filepath.Join(dirs[1], path+".log")).CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
}
