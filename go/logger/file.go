// SPDX-License-Identifier: BSD-3-Clause

package logger

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// stampLayout is how Zeek writes a time into a rotated file's name and the #open and #close lines, in local time.
const stampLayout = "2006-01-02-15-04-05"

// errAbandoned says that the logger stopped waiting for a file that cannot be written.
var errAbandoned = errors.New("logger: given up")

// Pauses between tries to do what failed.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

// insist does something until it succeeds. The first failure is told, and the end of the failures. It returns
// errAbandoned if the logger gives up.
func (l *Logger) insist(what string, do func() error) error {
	err := do()
	if err == nil {
		return nil
	}
	l.stats.WriteErrors.Add(1)
	l.log.Error("cannot "+what+": it is tried again, and the senders have to wait when the queue is full", "error", err)
	l.blocked.Add(1) // Blocked() refers to what was told
	defer l.blocked.Add(-1)
	since := time.Now()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		select {
		case <-l.abandon:
			return errAbandoned
		case <-time.After(pause):
		}
		if err := do(); err == nil {
			l.log.Info("can "+what+" again", "after", time.Since(since).Round(time.Millisecond))
			return nil
		}
		l.stats.WriteErrors.Add(1)
	}
}

// file is an open log file. Its owner is the writer of its path.
type file struct {
	l    *Logger
	name string
	f    *os.File
	size int64
}

// create makes the log file, and what folders it needs, after moving away what an earlier process has left there.
func (l *Logger) create(name string) (*file, error) {
	fl := &file{l: l, name: name}
	err := l.insist("create "+name, func() error {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			return err
		}
		if st, err := os.Lstat(name); err == nil {
			if err := l.moveLeftover(name, st); err != nil {
				return err
			}
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		fl.f = f
		return err
	})
	if err != nil {
		return nil, err
	}
	return fl, nil
}

// Write writes all of p, however long that takes; its only error is errAbandoned.
func (f *file) Write(p []byte) (int, error) {
	total := len(p)
	n, err := f.f.Write(p)
	f.size += int64(n)
	if err == nil {
		return n, nil
	}
	p = p[n:]
	err = f.l.insist("write "+f.name, func() error {
		n, err := f.f.Write(p)
		f.size += int64(n)
		p = p[n:]
		return err
	})
	return total - len(p), err
}

func (f *file) sync() {
	if err := f.f.Sync(); err != nil {
		f.l.stats.WriteErrors.Add(1)
		f.l.log.Error("fsync failed", "file", f.name, "error", err)
	}
}

// close closes the file and, if it is to be rotated, gives it its rotated name.
func (f *file) close(rotateTo string) error {
	if f.l.cfg.Fsync != FsyncNever {
		f.sync()
	}
	if err := f.f.Close(); err != nil {
		f.l.stats.WriteErrors.Add(1)
		f.l.log.Error("close failed", "file", f.name, "error", err)
	}
	if rotateTo == "" {
		return nil
	}
	var to string
	err := f.l.insist("rotate "+f.name, func() (err error) {
		to, err = move(f.name, rotateTo)
		if errors.Is(err, fs.ErrNotExist) {
			if _, gone := os.Lstat(f.name); errors.Is(gone, fs.ErrNotExist) {
				f.l.log.Error("a log was removed while it was written", "file", f.name)
				to, err = "", nil
			}
		}
		return err
	})
	if err == nil && to != "" {
		f.l.stats.Rotations.Add(1)
		f.l.compress(to)
	}
	return err
}

// move renames a file to stem + extension of the old name, or the first of stem-1, stem-2, ... that is free.
func move(from, stem string) (to string, err error) {
	ext := filepath.Ext(from)
	for i := 0; ; i++ {
		to = stem + ext
		if i > 0 {
			to = fmt.Sprintf("%s-%d%s", stem, i, ext)
		}
		if taken(to) {
			continue
		}
		return to, os.Rename(from, to)
	}
}

// taken reports whether there is a log of that name, compressed or not.
func taken(name string) bool {
	for _, ext := range [...]string{"", ".gz", ".zst"} {
		if _, err := os.Lstat(name + ext); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}

// moveLeftover gives a log that an earlier process left its rotated name, by when it was opened or, if the file does
// not say, last written. Zeek would overwrite it.
func (l *Logger) moveLeftover(name string, st fs.FileInfo) error {
	if !st.Mode().IsRegular() {
		return fmt.Errorf("%s is there and no regular file", name)
	}
	opened := st.ModTime()
	if f, err := os.Open(name); err == nil {
		r := bufio.NewReader(f)
		for range 8 {
			line, err := r.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "#") {
				break
			}
			if stamp, ok := strings.CutPrefix(strings.TrimSpace(line), "#open\t"); ok {
				if t, err := time.ParseInLocation(stampLayout, stamp, time.Local); err == nil {
					opened = t
				}
			}
		}
		f.Close()
	}
	to, err := move(name, rotatedStem(name, opened))
	if err != nil {
		return err
	}
	l.log.Info("kept a log of an earlier process", "file", name, "as", to)
	l.compress(to)
	return nil
}

// rotatedStem returns a rotated log's name without its extension, as Zeek's Log::rotation_format_func has it.
func rotatedStem(name string, opened time.Time) string {
	return strings.TrimSuffix(name, filepath.Ext(name)) + "." + opened.Local().Format(stampLayout)
}
