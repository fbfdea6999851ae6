// SPDX-License-Identifier: BSD-3-Clause

package logger

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/logbatch"
)

// writer writes the logs of one path. Its goroutine owns everything after news.
type writer struct {
	l    *Logger
	path string

	mutex   sync.Mutex
	waiting [][]byte // batches in their order; nil: no more will come
	news    chan struct{}

	rows atomic.Uint64 // written

	logs    []*openLog // one for each schema in use
	rotated time.Time  // when the files were rotated last
	next    time.Time  // when they are to be rotated, if by interval
}

// openLog is a file and the schema of its records.
type openLog struct {
	number int // 1, or that of "path-2" and so on
	fields []logbatch.Field
	opened time.Time // for the rotated name: when it was opened, or the last one rotated
	file   *file
	out    encoder
}

// encoder writes records to a file. Errors are errAbandoned, or the encoder's own, after which the records at hand are
// lost.
type encoder interface {
	add(r *logbatch.Reader) error
	flush() error  // writes what it holds back, if the format can
	finish() error // writes all, and what comes at the end
	held() int64   // how many bytes it holds back, as far as it can tell
}

// maxSchemas bounds the files of a path that are open at the same time.
const maxSchemas = 8

func newWriter(l *Logger, path string) *writer {
	w := &writer{l: l, path: path, news: make(chan struct{}, 1)}
	if l.cfg.RotateInterval > 0 {
		w.next = nextRotation(time.Now(), l.cfg.RotateInterval)
	}
	return w
}

// nextRotation returns the next multiple of the interval since midnight, local time, as Zeek does.
func nextRotation(now time.Time, interval time.Duration) time.Time {
	y, m, d := now.Date()
	midnight := time.Date(y, m, d, 0, 0, 0, 0, now.Location())
	return midnight.Add((now.Sub(midnight)/interval + 1) * interval)
}

// put appends a batch. What waits is bounded by the logger's budget.
func (w *writer) put(payload []byte) {
	w.mutex.Lock()
	w.waiting = append(w.waiting, payload)
	w.mutex.Unlock()
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (w *writer) run() {
	defer w.l.running.Done()
	var timer *time.Timer
	var due <-chan time.Time
	if !w.next.IsZero() {
		timer = time.NewTimer(time.Until(w.next))
		defer timer.Stop()
		due = timer.C
	}
	rotate := func() {
		w.rotateAll(w.next)
		w.next = nextRotation(latest(w.next, time.Now()), w.l.cfg.RotateInterval)
		timer.Reset(time.Until(w.next))
	}
	var batches [][]byte
	for {
		select {
		case <-w.news:
		case <-due:
			// It may have been seen to below meanwhile.
			if now := time.Now(); now.Before(w.next) {
				timer.Reset(w.next.Sub(now))
			} else {
				rotate()
			}
		}
		w.mutex.Lock()
		batches, w.waiting = w.waiting, batches[:0]
		w.mutex.Unlock()
		for i, payload := range batches {
			batches[i] = nil
			// A busy path must not rotate late.
			if due != nil && !time.Now().Before(w.next) {
				rotate()
			}
			if payload == nil {
				w.end()
				return
			}
			w.take(payload)
		}
		w.flush()
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// take writes a batch and gives its memory back.
func (w *writer) take(payload []byte) {
	defer w.l.reuse(payload)
	r, err := logbatch.NewReader(payload)
	if err != nil {
		w.l.reject(err)
		return
	}
	if r.Len() == 0 {
		return
	}
	if err := w.write(r); err != nil {
		w.l.stats.Lost.Add(1)
		if err != errAbandoned {
			w.l.log.Error("a log batch is lost", "path", w.path, "rows", r.Len(), "error", err)
		}
		return
	}
	w.l.stats.Batches.Add(1)
	w.l.stats.Rows.Add(uint64(r.Len()))
	w.rows.Add(uint64(r.Len()))
	w.l.stats.Bytes.Add(uint64(len(payload)))
}

func (w *writer) write(r *logbatch.Reader) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	log, err := w.logFor(r.Header().Fields)
	if err != nil {
		return err
	}
	if err := log.out.add(r); err != nil {
		return err
	}
	if max := w.l.cfg.RotateSize; max > 0 && log.file.size+log.out.held() >= max {
		return w.rotate(log, time.Now())
	}
	return nil
}

// logFor returns the open log for records with these fields. Batches of other fields, as from nodes that run other
// scripts, go to a file of their own, path-2 and so on, until the next rotation.
func (w *writer) logFor(fields []logbatch.Field) (*openLog, error) {
	for i, log := range w.logs {
		if sameColumns(log.fields, fields) {
			if i > 0 { // most recently used first
				copy(w.logs[1:i+1], w.logs[:i])
				w.logs[0] = log
			}
			return log, nil
		}
	}
	if len(w.logs) == maxSchemas {
		if err := w.rotate(w.logs[maxSchemas-1], time.Now()); err != nil {
			return nil, err
		}
	}
	log := &openLog{number: w.freeNumber(), fields: fields, opened: w.rotated}
	now := time.Now()
	if log.opened.IsZero() {
		log.opened = now
	}
	path := w.path
	if log.number > 1 {
		path = fmt.Sprintf("%s-%d", path, log.number)
		w.l.log.Warn("the fields of a log differ between senders; the others get a file of their own", "path", w.path, "file", path)
	}
	ext := ".log"
	if w.l.cfg.Format == Parquet {
		ext = ".parquet"
	}
	var err error
	if log.file, err = w.l.create(filepath.Join(w.l.cfg.Dir, path) + ext); err != nil {
		return nil, err
	}
	switch w.l.cfg.Format {
	case TSV:
		log.out = newText(log.file, tsv{}, path, fields, now)
	case JSON:
		log.out = newText(log.file, newJSON(fields), path, fields, now)
	case Parquet:
		log.out = newParquet(log.file, path, fields)
	}
	w.logs = append([]*openLog{log}, w.logs...)
	return log, nil
}

func (w *writer) freeNumber() int {
	for n := 1; ; n++ {
		free := true
		for _, log := range w.logs {
			free = free && log.number != n
		}
		if free {
			return n
		}
	}
}

// sameColumns reports whether two headers give the same columns. Whether a field is optional makes no difference.
func sameColumns(a, b []logbatch.Field) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Type != b[i].Type || a[i].Subtype != b[i].Subtype || a[i].Name != b[i].Name {
			return false
		}
	}
	return true
}

// flush writes what the encoders hold back.
func (w *writer) flush() {
	for _, log := range w.logs {
		if w.fine(log.out.flush()) && w.l.cfg.Fsync == FsyncWrite {
			log.file.sync()
		}
	}
}

// fine reports whether there is no error; one that is counts as a batch lost.
func (w *writer) fine(err error) bool {
	if err != nil {
		w.l.stats.Lost.Add(1)
	}
	return err == nil
}

// rotate closes a log and gives it its rotated name.
func (w *writer) rotate(log *openLog, now time.Time) error {
	for i := range w.logs {
		if w.logs[i] == log {
			w.logs = append(w.logs[:i:i], w.logs[i+1:]...)
			break
		}
	}
	w.rotated = now
	err := log.out.finish()
	if closing := log.file.close(rotatedStem(log.file.name, log.opened)); err == nil {
		err = closing
	}
	return err
}

func (w *writer) rotateAll(now time.Time) {
	for len(w.logs) > 0 {
		w.fine(w.rotate(w.logs[0], now))
	}
	w.rotated = now
}

// end closes the files, and rotates them if files are rotated at all, as Zeek does.
func (w *writer) end() {
	if w.l.cfg.rotates() {
		w.rotateAll(time.Now())
		return
	}
	for _, log := range w.logs {
		w.fine(log.out.finish())
		w.fine(log.file.close(""))
	}
}

// textRows is a format of lines.
type textRows interface {
	header(dst []byte, path string, fields []logbatch.Field, opened string) []byte
	row(dst []byte, row []logbatch.Value, elements *[]logbatch.Value) []byte
	footer(dst []byte, closed string) []byte
}

// text is the encoder of the formats of lines.
type text struct {
	file     *file
	rows     textRows
	buf      []byte
	elements []logbatch.Value // memory for those of sets and vectors
}

// textBuffer is how much text is written at a time.
const textBuffer = 128 << 10

func newText(f *file, rows textRows, path string, fields []logbatch.Field, now time.Time) *text {
	return &text{file: f, rows: rows, buf: rows.header(nil, path, fields, now.Local().Format(stampLayout))}
}

func (t *text) add(r *logbatch.Reader) error {
	for r.Next() {
		t.buf = t.rows.row(t.buf, r.Row(), &t.elements)
		if len(t.buf) >= textBuffer {
			if err := t.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *text) flush() error {
	if len(t.buf) == 0 {
		return nil
	}
	_, err := t.file.Write(t.buf)
	t.buf = t.buf[:0]
	if cap(t.buf) > 8*textBuffer { // a huge row
		t.buf = nil
	}
	return err
}

func (t *text) held() int64 { return int64(len(t.buf)) }

func (t *text) finish() error {
	t.buf = t.rows.footer(t.buf, time.Now().Local().Format(stampLayout))
	return t.flush()
}
