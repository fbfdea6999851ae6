// SPDX-License-Identifier: BSD-3-Clause

package logger

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// partial is what the name of a file begins with while it is being compressed.
const partial = ".partial."

// compressor compresses rotated files one after the other. The files wait in a list that holds only names, so that no
// writer waits for it.
type compressor struct {
	l      *Logger
	mutex  sync.Mutex
	more   sync.Cond
	files  []string
	closed bool
	done   chan struct{}
}

func newCompressor(l *Logger) *compressor {
	c := &compressor{l: l, done: make(chan struct{})}
	c.more.L = &c.mutex
	go c.run()
	return c
}

// compress has a rotated file compressed, if that is wanted.
func (l *Logger) compress(name string) {
	if l.compressor == nil {
		return
	}
	c := l.compressor
	c.mutex.Lock()
	c.files = append(c.files, name)
	c.mutex.Unlock()
	c.more.Signal()
}

// close ends the compressor after what it has to do.
func (c *compressor) close() {
	c.mutex.Lock()
	c.closed = true
	c.mutex.Unlock()
	c.more.Signal()
}

func (c *compressor) run() {
	defer close(c.done)
	for {
		c.mutex.Lock()
		for len(c.files) == 0 && !c.closed {
			c.more.Wait()
		}
		if len(c.files) == 0 {
			c.mutex.Unlock()
			return
		}
		name := c.files[0]
		c.files = c.files[1:]
		c.mutex.Unlock()

		select {
		case <-c.l.abandon:
			continue
		default:
		}
		if err := c.file(name); err != nil {
			c.l.log.Error("cannot compress a rotated log; it stays as it is", "file", name, "error", err)
		}
	}
}

// file compresses one file, and removes the original once the other is safe.
func (c *compressor) file(name string) (err error) {
	from, err := os.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	st, err := from.Stat()
	if err != nil {
		return err
	}

	ext := ".gz"
	if c.l.cfg.Compress == Zstd {
		ext = ".zst"
	}
	tmp := filepath.Join(filepath.Dir(name), partial+filepath.Base(name)+ext)
	to, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, st.Mode().Perm())
	if err != nil {
		return err
	}
	defer func() {
		to.Close()
		if err != nil {
			os.Remove(tmp)
		}
	}()

	buffered := bufio.NewWriterSize(to, 1<<16)
	var z io.WriteCloser = gzip.NewWriter(buffered)
	if c.l.cfg.Compress == Zstd {
		// One goroutine: the writers need the other processors.
		if z, err = zstd.NewWriter(buffered, zstd.WithEncoderConcurrency(1)); err != nil {
			return err
		}
	}
	if _, err = io.CopyBuffer(z, struct{ io.Reader }{from}, make([]byte, 1<<16)); err != nil {
		return err
	}
	if err = z.Close(); err != nil {
		return err
	}
	if err = buffered.Flush(); err != nil {
		return err
	}
	if err = to.Sync(); err != nil {
		return err
	}
	os.Chtimes(tmp, st.ModTime(), st.ModTime())
	if err = os.Rename(tmp, name+ext); err != nil {
		return err
	}
	return os.Remove(name)
}
