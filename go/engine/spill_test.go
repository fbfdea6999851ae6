// SPDX-License-Identifier: BSD-3-Clause

package engine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/options"
)

const spillNode = "zeromq-worker-1"

// opened opens the spill of one node, to be closed or abandoned by the test.
func opened(t *testing.T, dir string, max uint64) *spill {
	t.Helper()
	s, err := openSpill(dir, spillNode, max)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { abandon(s) })
	return s
}

// abandon leaves a spill as the end of a killed process does.
func abandon(s *spill) {
	for _, f := range []*os.File{s.r, s.w, s.lock} {
		if f != nil {
			f.Close()
		}
	}
}

// batch is the payload of a numbered batch.
func batch(n, size int) []byte {
	text := fmt.Sprintf("batch %d ", n)
	return append([]byte(text), bytes.Repeat([]byte{byte(n)}, max(0, size-len(text)))...)
}

// keep appends the batches from up to, not including, to.
func keep(t *testing.T, s *spill, from, to, size int) {
	t.Helper()
	for n := from; n < to; n++ {
		if err := s.append([]byte("format"), batch(n, size)); err != nil {
			t.Fatalf("batch %d: %v", n, err)
		}
	}
}

// take expects the batches from up to, not including, to.
func take(t *testing.T, s *spill, from, to, size int) {
	t.Helper()
	for n := from; n < to; n++ {
		if s.oldest() == nil {
			t.Fatalf("nothing in place of batch %d (%v)", n, s.takeDamage())
		}
		if format, payload := s.parts(); string(format) != "format" || !bytes.Equal(payload, batch(n, size)) {
			t.Fatalf("in place of batch %d: %q %.40q", n, format, payload)
		}
		s.done()
	}
}

func wantEmpty(t *testing.T, s *spill) {
	t.Helper()
	if !s.empty() {
		t.Errorf("there is still %.40q", s.next)
	}
	if s.bytes != 0 {
		t.Errorf("%d bytes are counted for nothing", s.bytes)
	}
}

// files are the names of the files in a folder that end in such a way.
func files(t *testing.T, dir, ending string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ending) {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestSpillKeepsOrder(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, 1<<20)
	wantEmpty(t, s)
	keep(t, s, 0, 10, 100)
	take(t, s, 0, 4, 100)
	keep(t, s, 10, 15, 100) // while there is something, and
	take(t, s, 4, 15, 100)
	wantEmpty(t, s)
	keep(t, s, 15, 17, 100) // after there was nothing
	take(t, s, 15, 17, 100)
	wantEmpty(t, s)
	if left := files(t, dir, ".spill"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Not empty: a batch is never taken twice, nor lost, if it cannot be sent yet.
func TestSpillOldestStaysUntilDone(t *testing.T) {
	s := opened(t, t.TempDir(), 1<<20)
	keep(t, s, 0, 2, 50)
	for range 3 {
		if s.oldest(); !bytes.HasPrefix(s.next, []byte("formatbatch 0 ")) {
			t.Fatalf("oldest is %q", s.next)
		}
	}
	take(t, s, 0, 2, 50)
}

func TestSpillBatchesOfAllShapes(t *testing.T) {
	dir := t.TempDir()
	shapes := []struct{ format, payload string }{
		{"f", ""}, {"", "p"}, {"", ""}, {strings.Repeat("f", 255), strings.Repeat("\x00", 1<<20)}, {"PSZZ", "PSZZ\x00\x00\x00\x06"},
	}
	s := opened(t, dir, 64<<20)
	for _, shape := range shapes {
		if err := s.append([]byte(shape.format), []byte(shape.payload)); err != nil {
			t.Fatal(err)
		}
	}
	s.close()
	s = opened(t, dir, 64<<20)
	for i, shape := range shapes {
		if s.oldest() == nil {
			t.Fatalf("nothing in place of batch %d", i)
		}
		if format, payload := s.parts(); string(format) != shape.format || string(payload) != shape.payload {
			t.Errorf("batch %d: %.20q %.20q", i, format, payload)
		}
		s.done()
	}
	wantEmpty(t, s)
}

func TestSpillBound(t *testing.T) {
	const size, fits = 1000, 10
	record := uint64(spillHead + len("format") + size)
	dir := t.TempDir()
	s := opened(t, dir, fits*record)
	keep(t, s, 0, fits, size)
	if err := s.append([]byte("format"), batch(fits, size)); !errors.Is(err, errSpillFull) {
		t.Fatalf("over the bound: %v", err)
	}
	if got := diskBytes(t, dir); got > fits*record {
		t.Errorf("%d bytes on disk, the bound is %d", got, fits*record)
	}

	// The bound holds in the next process, too.
	s.close()
	s = opened(t, dir, fits*record)
	if err := s.append([]byte("format"), batch(fits, size)); !errors.Is(err, errSpillFull) {
		t.Fatalf("over the bound, after a restart: %v", err)
	}
	take(t, s, 0, fits, size)
	wantEmpty(t, s)
	keep(t, s, 0, fits, size)
	take(t, s, 0, fits, size)

	// A batch that never fits.
	if err := s.append(nil, make([]byte, fits*record)); !errors.Is(err, errSpillFull) {
		t.Errorf("a giant: %v", err)
	}
	keep(t, s, 0, fits, size)
}

func diskBytes(t *testing.T, dir string) (sum uint64) {
	t.Helper()
	for _, name := range files(t, dir, ".spill") {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		sum += uint64(info.Size())
	}
	return sum
}

// Room is given back segment by segment, not only when all is read.
func TestSpillSegments(t *testing.T) {
	const size, batches = 4 << 20, 11 // 3 to a segment
	dir := t.TempDir()
	s := opened(t, dir, 1<<30)
	keep(t, s, 0, batches, size)
	if got := files(t, dir, ".spill"); len(got) != 4 {
		t.Fatalf("segments: %v", got)
	}
	take(t, s, 0, 7, size)
	if got := files(t, dir, ".spill"); len(got) != 2 {
		t.Errorf("segments, with 7 of 11 batches done: %v", got)
	}
	if want := diskBytes(t, dir); s.bytes != want {
		t.Errorf("%d bytes counted, %d are there", s.bytes, want)
	}
	take(t, s, 7, batches, size)
	wantEmpty(t, s)

	// One larger than a segment has its own.
	keep(t, s, 0, 2, segmentBytes+1)
	if got := files(t, dir, ".spill"); len(got) != 2 {
		t.Errorf("segments: %v", got)
	}
	take(t, s, 0, 2, segmentBytes+1)
	wantEmpty(t, s)
}

func TestSpillOutlivesACleanEnd(t *testing.T) {
	const size, batches = 3 << 20, 14
	dir := t.TempDir()
	next := 0
	s := opened(t, dir, 1<<30)
	keep(t, s, 0, batches, size)
	// In each life some are sent; ends and segments fall together, and do not.
	for _, n := range []int{0, 2, 3, 0, 1, 5} {
		take(t, s, next, next+n, size)
		next += n
		s.close()
		s = opened(t, dir, 1<<30)
	}
	// New batches come behind the old ones.
	keep(t, s, batches, batches+2, size)
	s.close()
	s = opened(t, dir, 1<<30)
	take(t, s, next, batches+2, size)
	wantEmpty(t, s)
	s.close()
	if left := append(files(t, dir, ".spill"), files(t, dir, ".position")...); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A killed process may send the oldest segment again, but loses nothing.
func TestSpillOutlivesACrash(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, 1<<30)
	keep(t, s, 0, 10, 100)
	take(t, s, 0, 4, 100)
	abandon(s)
	s = opened(t, dir, 1<<30)
	take(t, s, 0, 10, 100)
	wantEmpty(t, s)
}

// A position of an earlier life has no say about segments that came later.
func TestSpillPositionOfAnotherLife(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, 1<<30)
	keep(t, s, 0, 10, 100)
	take(t, s, 0, 4, 100)
	s.close()

	s = opened(t, dir, 1<<30)
	corrupt(t, s.path(1), int64(s.rOffset)+spillHead+20) // batch 4, and so all to the end
	if !s.empty() {
		t.Fatalf("batch 4 passed, though damaged: %q", s.next)
	}
	abandon(s)
	s = opened(t, dir, 1<<30)
	keep(t, s, 20, 30, 100)
	abandon(s)

	s = opened(t, dir, 1<<30)
	take(t, s, 20, 30, 100)
	wantEmpty(t, s)
	if err := s.takeDamage(); err != nil {
		t.Error(err)
	}
}

// A position that cannot be right costs nothing that is there.
func TestSpillNonsensePosition(t *testing.T) {
	for _, position := range []string{"", "x", "1", "1 999999999", "7 100", "1 -5", "18446744073709551616 1"} {
		t.Run(position, func(t *testing.T) {
			dir := t.TempDir()
			s := opened(t, dir, 1<<30)
			keep(t, s, 0, 5, 100)
			abandon(s)
			if err := os.WriteFile(s.base+".position", []byte(position), 0o644); err != nil {
				t.Fatal(err)
			}
			s = opened(t, dir, 1<<30)
			take(t, s, 0, 5, 100)
			wantEmpty(t, s)
		})
	}
}

// corrupt changes the byte at an offset.
func corrupt(t *testing.T, path string, offset int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], offset); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b[:], offset); err != nil {
		t.Fatal(err)
	}
}

// Wherever a byte of a record is damaged, what is before it passes, nothing
// wrong does, the next segment is read, and the loss is told once.
func TestSpillDamagedRecords(t *testing.T) {
	const size = 50
	record := int64(spillHead + len("format") + size)
	for at := range record {
		dir := t.TempDir()
		s := opened(t, dir, 1<<30)
		keep(t, s, 0, 3, size)
		abandon(s)
		s = opened(t, dir, 1<<30) // writes into the next segment
		keep(t, s, 3, 5, size)
		corrupt(t, s.path(1), record+at)

		take(t, s, 0, 1, size)
		take(t, s, 3, 5, size)
		wantEmpty(t, s)
		if err := s.takeDamage(); err == nil || !strings.Contains(err.Error(), s.path(1)) {
			t.Errorf("byte %d: told %v, want the file's name", at, err)
		}
		if err := s.takeDamage(); err != nil {
			t.Errorf("byte %d: told again: %v", at, err)
		}
		abandon(s)
	}
}

// A crash, or a full disk, may leave a part of the last record.
func TestSpillTruncatedRecords(t *testing.T) {
	const size = 50
	record := int64(spillHead + len("format") + size)
	for cut := range record {
		dir := t.TempDir()
		s := opened(t, dir, 1<<30)
		keep(t, s, 0, 3, size)
		abandon(s)
		if err := os.Truncate(s.path(1), 2*record+cut); err != nil {
			t.Fatal(err)
		}
		s = opened(t, dir, 1<<30)
		keep(t, s, 3, 5, size)
		take(t, s, 0, 2, size)
		take(t, s, 3, 5, size)
		wantEmpty(t, s)
		if err := s.takeDamage(); (err == nil) != (cut == 0) {
			t.Errorf("cut after %d bytes: told %v", cut, err)
		}
		abandon(s)
	}
}

// Nor does it hang, or lose count, if somebody empties or damages the segment
// that is being written.
func TestSpillSegmentInUseIsDamaged(t *testing.T) {
	for name, harm := range map[string]func(path string) error{
		"emptied": func(path string) error { return os.Truncate(path, 0) },
		"cut":     func(path string) error { return os.Truncate(path, 130) },
		"zeroed":  func(path string) error { return os.WriteFile(path, make([]byte, 5000), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			s := opened(t, t.TempDir(), 1<<30)
			keep(t, s, 0, 20, 100)
			if err := harm(s.path(1)); err != nil {
				t.Fatal(err)
			}
			read := make(chan int, 1)
			go func() {
				n := 0
				for ; !s.empty(); n++ {
					s.done()
				}
				read <- n
			}()
			select {
			case n := <-read:
				if n > 1 {
					t.Errorf("%d batches passed", n)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("it hangs")
			}
			if err := s.takeDamage(); err == nil {
				t.Error("nothing was told")
			}
			keep(t, s, 20, 25, 100)
			take(t, s, 20, 25, 100)
			wantEmpty(t, s)
		})
	}
}

func TestSpillFolderIsMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := opened(t, dir, 1<<20)
	keep(t, s, 0, 1, 100)
	if got := files(t, dir, ".spill"); len(got) != 1 || !strings.HasPrefix(got[0], spillNode+".") {
		t.Errorf("segments: %v", got)
	}
}

func TestSpillFolderThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), "/proc/self/spill", t.TempDir() + "/nul\x00"} {
		s, err := openSpill(dir, spillNode, 1<<20)
		if err == nil {
			abandon(s)
			t.Errorf("%q: no error", dir)
		} else if !strings.Contains(err.Error(), "log_spill_dir") {
			t.Errorf("%q: %v does not name log_spill_dir", dir, err)
		}
	}
}

// A disk that takes nothing: the folder is gone, or it is full. Nothing is
// added then, and what was there stays.
func TestSpillDiskErrors(t *testing.T) {
	t.Run("no folder", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "spill")
		s := opened(t, dir, 1<<30)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := s.append([]byte("format"), batch(0, 10)); err == nil || errors.Is(err, errSpillFull) {
				t.Errorf("append: %v", err)
			}
		}
		wantEmpty(t, s)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		keep(t, s, 0, 3, 100)
		take(t, s, 0, 3, 100)
		wantEmpty(t, s)
	})

	t.Run("no space", func(t *testing.T) {
		s := opened(t, t.TempDir(), 1<<30)
		keep(t, s, 0, 3, 100)
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip(err)
		}
		w := s.w
		s.w = full
		bytes := s.bytes
		if err := s.append([]byte("format"), batch(3, 100)); err == nil || errors.Is(err, errSpillFull) {
			t.Errorf("append: %v", err)
		}
		if s.bytes != bytes {
			t.Errorf("%d bytes counted for a batch that was not added", s.bytes-bytes)
		}
		s.w = w
		full.Close()
		keep(t, s, 3, 5, 100)
		take(t, s, 0, 5, 100)
		wantEmpty(t, s)
	})
}

func TestSpillLock(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, 1<<20)
	other, err := openSpill(dir, spillNode, 1<<20)
	if err == nil {
		abandon(other)
		t.Fatal("two at once")
	}
	if text := err.Error(); !strings.Contains(text, "log_spill_dir") || !strings.Contains(text, spillNode) {
		t.Errorf("%v does not name the folder's option and the node", err)
	}
	// Another node may use the folder, and the next process after this one.
	another, err := openSpill(dir, spillNode+"0", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	another.close()
	s.close()
	opened(t, dir, 1<<20).close()
}

// A segment that cannot be opened, but is there, stays for the next process.
func TestSpillSegmentThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, 1<<30)
	keep(t, s, 0, 3, 100)
	abandon(s)
	away := s.path(1) + ".away"
	if err := os.Rename(s.path(1), away); err != nil {
		t.Fatal(err)
	}
	// Root may open anything but this.
	if err := os.Symlink(s.path(1), s.path(1)); err != nil {
		t.Fatal(err)
	}
	s = &spill{base: s.base, max: s.max, segments: []uint64{1}, newest: 1}
	wantEmpty(t, s)
	if err := s.takeDamage(); err == nil || !strings.Contains(err.Error(), s.path(1)) {
		t.Errorf("told %v, want the file's name", err)
	}
	keep(t, s, 3, 5, 100)
	take(t, s, 3, 5, 100)
	wantEmpty(t, s)
	abandon(s)

	if err := os.Rename(away, s.path(1)); err != nil {
		t.Fatal(err)
	}
	s = opened(t, dir, 1<<30)
	take(t, s, 0, 3, 100)
	wantEmpty(t, s)
}

// Nodes' files stay apart, whatever their names.
func TestSpillNames(t *testing.T) {
	names := []string{"", "worker", "worker-1", "worker-1.1", "worker*", "[abc]", "w?", `back\slash`, "sp ace", "..", "../up", "ü", "%d", "a.spill"}
	dir := t.TempDir()
	open := func(name string) *spill {
		s, err := openSpill(dir, spillName(&options.Options{NodeName: name}), 1<<20)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		t.Cleanup(func() { abandon(s) })
		return s
	}
	var all []*spill
	for i, name := range names {
		s := open(name)
		keep(t, s, 100*i, 100*i+3, 20)
		all = append(all, s)
	}
	for _, s := range all {
		s.close()
	}
	for i, name := range names {
		s := open(name)
		take(t, s, 100*i, 100*i+3, 20)
		if !s.empty() {
			t.Errorf("%q has batches of others: %q", name, s.next)
		}
		s.close()
	}
	if up := files(t, filepath.Dir(dir), "lock"); len(up) != 0 {
		t.Errorf("outside the folder: %v", up)
	}
}

// Folders whose names mean something in patterns.
func TestSpillFolderNames(t *testing.T) {
	for _, name := range []string{"*", "[a]", "?", `\`, "a b", "%s"} {
		dir := filepath.Join(t.TempDir(), name)
		s := opened(t, dir, 1<<20)
		keep(t, s, 0, 3, 20)
		s.close()
		s = opened(t, dir, 1<<20)
		take(t, s, 0, 3, 20)
		s.close()
	}
}

// What is not ours in the folder is let alone.
func TestSpillForeignFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{spillNode + ".x.spill", spillNode + ".spill", spillNode + ".-1.spill", spillNode + ".1.spill.old", "x.1.spill"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before := files(t, dir, "")
	s := opened(t, dir, 1<<20)
	wantEmpty(t, s)
	keep(t, s, 0, 3, 20)
	take(t, s, 0, 3, 20)
	s.close()
	if err := os.Remove(s.base + ".lock"); err != nil {
		t.Fatal(err)
	}
	if after := files(t, dir, ""); strings.Join(after, " ") != strings.Join(before, " ") {
		t.Errorf("before %v, after %v", before, after)
	}
}
