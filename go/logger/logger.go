// SPDX-License-Identifier: BSD-3-Clause

// Package logger is a logger outside Zeek: it takes log batches from the nodes of a cluster and writes what a Zeek
// logger would write, or Parquet.
//
// One goroutine owns the PULL socket. It hands every batch to the writer of its path, a goroutine that decodes,
// formats and writes. What is between them is bounded in bytes: a writer that cannot write, because the disk is full
// or the folder not writable, tries again until it can, and meanwhile the socket is not read. Its high-water mark and
// those of the senders fill, and the senders notice; the logger itself drops nothing that it could decode.
package logger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/engine"
	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/logbatch"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// A Format is what log files are written in.
type Format string

// The formats.
const (
	TSV     Format = "tsv"  // as Zeek's ASCII writer with its defaults
	JSON    Format = "json" // as Zeek's ASCII writer with LogAscii::use_json
	Parquet Format = "parquet"
)

// A Compression is what rotated files are compressed with.
type Compression string

// The compressions.
const (
	NoCompression Compression = "none"
	Gzip          Compression = "gzip"
	Zstd          Compression = "zstd"
)

// Fsync says when files are forced to the disk.
type Fsync string

// The fsync policies.
const (
	FsyncNever Fsync = "never" // when the kernel likes
	FsyncClose Fsync = "close" // when a file is closed or rotated
	FsyncWrite Fsync = "write" // also whenever all that arrived is written
)

// Config says what a logger does. Start makes the zero value of the last five their defaults.
type Config struct {
	// Options has listen_log_endpoint, the CURVE keys and what else concerns the socket.
	Options options.Options
	// Dir is where the logs are written. It is made if need be; no other logger may use it at the same time.
	Dir    string
	Format Format
	// RotateInterval, if positive, is after how long a file is rotated, counted from midnight, local time.
	RotateInterval time.Duration
	// RotateSize, if positive, is the size in bytes from which a file is rotated.
	RotateSize int64
	Compress   Compression
	Fsync      Fsync
	// QueueBytes bounds the batches that are received and not yet written. A batch that is larger has its turn alone.
	QueueBytes int64
	// Log is told of everything that an operator should know.
	Log *slog.Logger
}

func (c *Config) complete() error {
	if c.Format == "" {
		c.Format = TSV
	}
	if c.Compress == "" {
		c.Compress = NoCompression
	}
	if c.Fsync == "" {
		c.Fsync = FsyncClose
	}
	if c.QueueBytes == 0 {
		c.QueueBytes = 64 << 20
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	bad := func(name string, value any, want string) error {
		return &options.Error{Name: name, Value: fmt.Sprint(value), Want: want}
	}
	switch {
	case c.Options.ListenLogEndpoint == "":
		return bad("listen_log_endpoint", "", "an endpoint to listen on, as tcp://127.0.0.1:5557")
	case c.Dir == "":
		return bad("dir", "", "the folder to write to")
	case c.Format != TSV && c.Format != JSON && c.Format != Parquet:
		return bad("format", c.Format, "one of tsv, json, parquet")
	case c.Compress != NoCompression && c.Compress != Gzip && c.Compress != Zstd:
		return bad("compress", c.Compress, "one of none, gzip, zstd")
	case c.Fsync != FsyncNever && c.Fsync != FsyncClose && c.Fsync != FsyncWrite:
		return bad("fsync", c.Fsync, "one of never, close, write")
	case c.RotateInterval < 0 || c.RotateInterval > 0 && c.RotateInterval < time.Second:
		return bad("rotate-interval", c.RotateInterval, "0 or at least 1s")
	case c.RotateSize < 0:
		return bad("rotate-size", c.RotateSize, "0 or more bytes")
	case c.QueueBytes < 1:
		return bad("queue-bytes", c.QueueBytes, "1 or more bytes")
	case c.Compress != NoCompression && c.Format == Parquet:
		return bad("compress", c.Compress, "none with --format parquet, which compresses inside the file")
	case c.Compress != NoCompression && !c.rotates():
		return bad("compress", c.Compress, "none without rotation: only rotated files are compressed")
	}
	return c.Options.CheckKeys()
}

func (c *Config) rotates() bool { return c.RotateInterval > 0 || c.RotateSize > 0 }

// Stats are a logger's counters; they only grow.
type Stats struct {
	Received      atomic.Uint64 // log batches, invalid ones too
	Batches, Rows atomic.Uint64 // written
	Bytes         atomic.Uint64 // of the batches written, as received
	Malformed     atomic.Uint64 // messages that are no log batch: not four parts, or another format
	Invalid       atomic.Uint64 // log batches that cannot be decoded or have a path that names no file in the folder
	WriteErrors   atomic.Uint64 // failed tries to create, write, sync or rename a file
	Rotations     atomic.Uint64
	Lost          atomic.Uint64 // batches given up at the end because they could not be written
}

// Logger is a running logger.
type Logger struct {
	cfg   Config
	log   *slog.Logger
	stats Stats

	ctx      *cshim.Context
	pull     *cshim.Socket
	puller   *cshim.Puller
	endpoint string
	poller   *cshim.Poller
	zap      *engine.ZAP
	lock     *os.File

	writers    map[string]*writer // the receiving goroutine changes it
	paths      sync.Mutex         // of writers, where others read it or it changes
	running    sync.WaitGroup
	queue      *budget
	buffers    sync.Pool   // of *[]byte
	compressor *compressor // nil: nothing is compressed
	invalid    complaint

	blocked  atomic.Int32 // writers that wait for a file to become writable
	stopping atomic.Bool
	abandon  chan struct{} // closed to give up what cannot be written
	done     chan struct{}
	failure  error
}

// maxReused is the size of the largest batches whose memory is used again.
const maxReused = 4 << 20

// maxPaths bounds the writers, and with them the open files.
const maxPaths = 10000

// Start binds listen_log_endpoint and writes what arrives there. Errors are of type *[engine.EndpointError] or
// *[options.Error] where an endpoint or a setting is at fault. On an error nothing is left behind.
func Start(cfg Config) (*Logger, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	if err := engine.CheckDescriptors(); err != nil {
		return nil, fmt.Errorf("cannot start the logger: %w", err)
	}
	l := &Logger{cfg: cfg, log: cfg.Log, writers: map[string]*writer{}, abandon: make(chan struct{}), done: make(chan struct{}),
		queue: newBudget(cfg.QueueBytes)}
	if err := l.open(); err != nil {
		l.close()
		return nil, err
	}
	if cfg.Compress != NoCompression {
		l.compressor = newCompressor(l)
	}
	go l.run()
	return l, nil
}

func (l *Logger) open() error {
	if err := os.MkdirAll(l.cfg.Dir, 0o777); err != nil {
		return fmt.Errorf("dir %q: %w", l.cfg.Dir, err)
	}
	var err error
	if l.lock, err = os.Open(l.cfg.Dir); err != nil {
		return fmt.Errorf("dir %q: %w", l.cfg.Dir, err)
	}
	switch err := syscall.Flock(int(l.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err {
	case nil:
	case syscall.EWOULDBLOCK:
		return fmt.Errorf("dir %q: another logger writes there", l.cfg.Dir)
	default:
		l.log.Warn("cannot lock the folder against other loggers", "dir", l.cfg.Dir, "error", err)
	}
	if left, err := filepath.Glob(filepath.Join(l.cfg.Dir, partial+"*")); err == nil {
		for _, name := range left {
			os.Remove(name) // its original is still there
		}
	}

	if l.ctx, err = cshim.NewContext(1); err != nil {
		return fmt.Errorf("cannot start the logger: %w", err)
	}
	o := &l.cfg.Options
	if o.CurveServer() {
		if l.zap, err = engine.ServeZAP(l.ctx, o.CurveClientPublicKey); err != nil {
			return err
		}
	}
	if l.pull, err = engine.NewLogSocket(l.ctx, o); err != nil {
		return err
	}
	if l.endpoint, err = l.pull.LastEndpoint(); err != nil {
		return err
	}
	if l.poller, err = cshim.NewWakePoller(); err != nil {
		return fmt.Errorf("cannot make the logger's waker: %w", err)
	}
	l.poller.Add(l.pull)
	l.puller = cshim.NewPuller(l.pull)
	return nil
}

// close frees what open made. The poller stays until nobody can wake it.
func (l *Logger) close() {
	if l.puller != nil {
		l.puller.Close()
	}
	l.pull.Close()
	if l.zap != nil {
		l.zap.Stop()
	}
	if l.ctx != nil {
		engine.TerminateContext(l.ctx, 0)
	}
	if l.lock != nil {
		l.lock.Close()
	}
}

// Endpoint returns the endpoint bound, with the port that the system chose.
func (l *Logger) Endpoint() string { return l.endpoint }

// Stats returns the logger's counters.
func (l *Logger) Stats() *Stats { return &l.stats }

// RowsByPath returns how many rows were written of each path.
func (l *Logger) RowsByPath() map[string]uint64 {
	l.paths.Lock()
	defer l.paths.Unlock()
	rows := make(map[string]uint64, len(l.writers))
	for path, w := range l.writers {
		rows[path] = w.rows.Load()
	}
	return rows
}

// Queued returns how many bytes of batches are received and not yet written.
func (l *Logger) Queued() int64 {
	l.queue.mutex.Lock()
	defer l.queue.mutex.Unlock()
	return l.queue.used
}

// Blocked reports whether some file cannot be written at present.
func (l *Logger) Blocked() bool { return l.blocked.Load() > 0 }

// Done is closed when the logger has ended, whether by Stop or by a failure.
func (l *Logger) Done() <-chan struct{} { return l.done }

// Stop ends the connections, writes what has arrived, closes the files and waits for that. When ctx is done, what
// cannot be written is given up, and the error says how much. Call it once.
func (l *Logger) Stop(ctx context.Context) error {
	l.stopping.Store(true)
	l.queue.lift()
	l.poller.Wake()
	select {
	case <-l.done:
	case <-ctx.Done():
		close(l.abandon)
		l.queue.abandon()
		<-l.done
	}
	l.poller.Close()
	if n := l.stats.Lost.Load(); n > 0 {
		return fmt.Errorf("logger: %d log batches could not be written and are lost", n)
	}
	return l.failure
}

func (l *Logger) run() {
	runtime.LockOSThread() // the thread ends with the goroutine
	cshim.SetThreadName("zeekzmq-logger")
	defer close(l.done)

	if err := l.receive(); err != nil {
		l.failure = fmt.Errorf("logger: cannot receive: %w", err)
		l.log.Error("cannot receive any more", "error", err)
	}
	for _, w := range l.writers {
		w.put(nil)
	}
	l.running.Wait()
	l.invalid.flush(l.log)
	if l.compressor != nil {
		l.compressor.close()
		<-l.compressor.done
	}
	l.close()
}

// receive takes messages until the logger stops, and then those under way.
func (l *Logger) receive() error {
	for !l.stopping.Load() {
		switch err := l.take(); err {
		case nil:
		case cshim.ErrAgain:
			if _, err := l.poller.Wait(-1); err != nil {
				return err
			}
		default:
			return err
		}
	}
	return l.drain()
}

// take receives some messages and hands them on.
func (l *Logger) take() error {
	n, err := l.puller.Recv()
	for i := range n {
		l.dispatch(l.puller.Message(i))
	}
	return err
}

// dispatch hands a batch to the writer of its path, waiting for room.
func (l *Logger) dispatch(count int, parts [][]byte) {
	if count != 4 || string(parts[2]) != logbatch.Format {
		l.stats.Malformed.Add(1)
		l.invalid.about(l.log, "a message that is no log batch was ignored", notBatch(count, parts))
		return
	}
	l.stats.Received.Add(1)
	payload := parts[3]
	path, ok := pathOf(payload)
	if !ok {
		l.reject(logbatch.ErrTruncated)
		return
	}
	w := l.writers[string(path)]
	if w == nil {
		if err := checkPath(string(path)); err != nil {
			l.reject(err)
			return
		}
		if len(l.writers) == maxPaths {
			l.reject(fmt.Errorf("path %q: there are %d paths already", path, maxPaths))
			return
		}
		// The first batch of a path must be valid: garbage makes no files.
		if err := logbatch.Validate(payload); err != nil {
			l.reject(err)
			return
		}
		w = newWriter(l, string(path))
		l.paths.Lock()
		l.writers[w.path] = w
		l.paths.Unlock()
		l.running.Add(1)
		go w.run()
	}
	if !l.queue.acquire(int64(len(payload))) {
		l.stats.Lost.Add(1)
		return
	}
	w.put(append(l.buffer(), payload...))
}

// buffer returns memory for a batch, which a writer gives back by reuse.
func (l *Logger) buffer() []byte {
	if b, ok := l.buffers.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return nil
}

func (l *Logger) reuse(payload []byte) {
	l.queue.release(int64(len(payload)))
	if cap(payload) <= maxReused {
		l.buffers.Put(&payload)
	}
}

func notBatch(count int, parts [][]byte) error {
	if count != 4 {
		return fmt.Errorf("%d parts, want 4", count)
	}
	return fmt.Errorf("format %.100q, want %q", parts[2], logbatch.Format)
}

func (l *Logger) reject(err error) {
	l.stats.Invalid.Add(1)
	l.invalid.about(l.log, "a log batch was rejected", err)
}

// pathOf returns the path in a batch's header, which follows three other strings.
func pathOf(p []byte) (path []byte, ok bool) {
	for range 4 {
		if len(p) < 4 {
			return nil, false
		}
		n := binary.BigEndian.Uint32(p)
		if uint64(n) > uint64(len(p)-4) {
			return nil, false
		}
		path, p = p[4:4+n], p[4+n:]
	}
	return path, true
}

// checkPath says why a path, which may have been sent by anybody, names no file in the logger's folder. A slash makes
// a sub-folder.
func checkPath(path string) error {
	if len(path) > 1000 {
		return errors.New("a path longer than 1000 bytes")
	}
	if strings.IndexByte(path, 0) >= 0 {
		return fmt.Errorf("path %q has a NUL byte", path)
	}
	for _, part := range strings.Split(path, "/") {
		switch {
		case part == "":
			return fmt.Errorf("path %q: absolute paths and empty names are not taken", path)
		case part[0] == '.':
			return fmt.Errorf("path %q: names that begin with a dot are not taken", path)
		case len(part) > 200:
			return fmt.Errorf("path %q: a name longer than 200 bytes", path)
		}
	}
	return nil
}

// complaint tells of something that may happen often: at once, then how often, every ten seconds.
type complaint struct {
	mutex sync.Mutex
	last  time.Time
	more  int
}

const complaintInterval = 10 * time.Second

func (c *complaint) about(log *slog.Logger, what string, err error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if now := time.Now(); now.Sub(c.last) >= complaintInterval {
		log.Error(what, "error", err, "unreported before", c.more)
		c.last, c.more = now, 0
		return
	}
	c.more++
}

func (c *complaint) flush(log *slog.Logger) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.more > 0 {
		log.Error("more messages were ignored", "number", c.more)
	}
}

// budget bounds the bytes between the receiver and the writers.
type budget struct {
	mutex   sync.Mutex
	room    sync.Cond
	used    int64
	limit   int64
	lifted  bool
	givenUp bool
}

func newBudget(limit int64) *budget {
	b := &budget{limit: limit}
	b.room.L = &b.mutex
	return b
}

// acquire waits for room for n bytes. It reports whether there is, or the logger has given up.
func (b *budget) acquire(n int64) bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for b.used > 0 && b.used+n > b.limit && !b.lifted && !b.givenUp {
		b.room.Wait()
	}
	b.used += n
	return !b.givenUp
}

func (b *budget) release(n int64) {
	b.mutex.Lock()
	b.used -= n
	b.mutex.Unlock()
	b.room.Signal()
}

// lift ends the bound: what is received from now on has to be.
func (b *budget) lift() {
	b.mutex.Lock()
	b.lifted = true
	b.mutex.Unlock()
	b.room.Broadcast()
}

// abandon makes every acquire fail.
func (b *budget) abandon() {
	b.mutex.Lock()
	b.givenUp = true
	b.mutex.Unlock()
	b.room.Broadcast()
}

// panicked says what a recovered panic was.
func panicked(p any) error { return fmt.Errorf("panic: %v\n%s", p, debug.Stack()) }
