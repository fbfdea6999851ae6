// SPDX-License-Identifier: BSD-3-Clause

package engine

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// spill keeps log batches on disk, in order, while no logger takes them. It
// survives the process: a spill opened again starts with what was left.
//
// On disk it is a row of segments, NAME.SEQUENCE.spill, each a row of records;
// a segment that was read whole is removed. NAME.position says where reading
// stands; it is written at the end, so that a crash may cause the oldest
// segment to be sent again, but loses nothing. NAME.lock keeps other processes
// out. The engine's goroutine only.
type spill struct {
	base string // path of all files, without their endings
	max  uint64 // bytes on disk
	lock *os.File

	segments []uint64 // sequence numbers, oldest first; the last is written to
	newest   uint64   // the highest sequence number there was
	bytes    uint64   // of all segments
	w        *os.File
	wBytes   uint64

	r       *os.File // the oldest segment
	br      *bufio.Reader
	rOffset uint64
	next    []byte // the oldest record's format and payload, read ahead
	format  int    // bytes of next that are the format
	damaged error  // the last damage met in reading, until asked for
}

const (
	segmentBytes = 16 << 20
	spillHead    = 16         // magic, length of format, length of payload, checksum
	spillMagic   = 0x5a5a5350 // "ZZSP"
)

// errSpillFull says that the bytes on disk have reached their bound.
var errSpillFull = errors.New("log_spill_max_bytes reached")

// openSpill opens the spill NAME in a folder, making both if need be.
func openSpill(dir, name string, max uint64) (*spill, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("log_spill_dir %q: %w", dir, err)
	}

	s := &spill{base: filepath.Join(dir, name), max: max}
	var err error
	if s.lock, err = os.OpenFile(s.base+".lock", os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		return nil, fmt.Errorf("log_spill_dir %q: %w", dir, err)
	}
	if err := syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		s.lock.Close()
		return nil, fmt.Errorf("log_spill_dir %q: another process uses the spill of node %q there", dir, name)
	}

	if err := s.scan(); err != nil {
		s.lock.Close()
		return nil, fmt.Errorf("log_spill_dir %q: %w", dir, err)
	}
	return s, nil
}

func (s *spill) path(sequence uint64) string { return fmt.Sprintf("%s.%d.spill", s.base, sequence) }

// scan finds the segments that an earlier process left.
func (s *spill) scan() error {
	names, err := filepath.Glob(globEscape(s.base) + ".*.spill")
	if err != nil {
		return err
	}
	for _, name := range names {
		text := strings.TrimSuffix(strings.TrimPrefix(name, s.base+"."), ".spill")
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			continue // not ours
		}
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		s.segments = append(s.segments, n)
		s.bytes += uint64(info.Size())
	}
	slices.Sort(s.segments)
	if len(s.segments) == 0 {
		return nil
	}
	s.newest = s.segments[len(s.segments)-1]

	if text, err := os.ReadFile(s.base + ".position"); err == nil {
		var sequence, offset uint64
		if n, _ := fmt.Sscanf(string(text), "%d %d", &sequence, &offset); n == 2 && sequence == s.segments[0] && s.holds(offset) {
			s.rOffset = offset
		}
	}
	return nil
}

// holds says whether the oldest segment reaches as far as an offset.
func (s *spill) holds(offset uint64) bool {
	info, err := os.Stat(s.path(s.segments[0]))
	return err == nil && offset <= uint64(info.Size())
}

func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// empty says that there is nothing to send.
func (s *spill) empty() bool { return s.oldest() == nil }

// append adds a batch: errSpillFull if there is no room, or the disk's error. On
// an error nothing was added.
func (s *spill) append(format, payload []byte) error {
	size := uint64(spillHead + len(format) + len(payload))
	if s.bytes+size > s.max {
		return errSpillFull
	}
	if s.w == nil || s.wBytes+size > segmentBytes && s.wBytes > 0 {
		if err := s.nextSegment(); err != nil {
			return err
		}
	}

	record := make([]byte, 0, size)
	record = binary.BigEndian.AppendUint32(record, spillMagic)
	record = binary.BigEndian.AppendUint32(record, uint32(len(format)))
	record = binary.BigEndian.AppendUint32(record, uint32(len(payload)))
	record = binary.BigEndian.AppendUint32(record, 0)
	record = append(append(record, format...), payload...)
	binary.BigEndian.PutUint32(record[12:], crc32.ChecksumIEEE(record[spillHead:]))

	if _, err := s.w.Write(record); err != nil {
		// Whatever part was written must not be taken for a record later.
		s.w.Truncate(int64(s.wBytes))
		s.w.Seek(int64(s.wBytes), io.SeekStart)
		return err
	}
	s.wBytes += size
	s.bytes += size
	return nil
}

// nextSegment starts a segment for writing.
func (s *spill) nextSegment() error {
	sequence := s.newest + 1
	w, err := os.OpenFile(s.path(sequence), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if s.w != nil {
		s.w.Close()
	}
	s.w, s.wBytes, s.newest = w, 0, sequence
	s.segments = append(s.segments, sequence)
	return nil
}

// oldest returns the format and payload of the oldest batch together, or nil;
// see [spill.parts].
func (s *spill) oldest() []byte {
	for s.next == nil && len(s.segments) > 0 {
		if s.r == nil && !s.openOldest() {
			continue
		}
		if s.readRecord() {
			break
		}
		// Everything that was written to it can be read, unless somebody cut it.
		if s.w != nil && len(s.segments) == 1 && s.rOffset < s.wBytes && s.damaged == nil {
			s.damaged = fmt.Errorf("%s: nothing at byte %d of %d", s.r.Name(), s.rOffset, s.wBytes)
		}
		s.removeOldest()
	}
	return s.next
}

func (s *spill) parts() (format, payload []byte) { return s.next[:s.format], s.next[s.format:] }

func (s *spill) openOldest() bool {
	r, err := os.Open(s.path(s.segments[0]))
	if err == nil {
		_, err = r.Seek(int64(s.rOffset), io.SeekStart)
	}
	if err != nil {
		// Perhaps it can be opened again: left for the next process.
		s.damaged = err
		s.forgetOldest()
		return false
	}
	s.r, s.br = r, bufio.NewReaderSize(r, 1<<16)
	return true
}

// readRecord reads one record ahead. False at the end of the segment, or at
// damage, behind which nothing in the segment can be told apart.
func (s *spill) readRecord() bool {
	var head [spillHead]byte
	if _, err := io.ReadFull(s.br, head[:]); err != nil {
		if err != io.EOF {
			s.damaged = fmt.Errorf("%s: a record at byte %d is cut short", s.r.Name(), s.rOffset)
		}
		return false
	}
	format, payload := binary.BigEndian.Uint32(head[4:]), binary.BigEndian.Uint32(head[8:])
	info, err := s.r.Stat()
	if err != nil || binary.BigEndian.Uint32(head[:]) != spillMagic ||
		s.rOffset+spillHead+uint64(format)+uint64(payload) > uint64(info.Size()) {
		s.damaged = fmt.Errorf("%s: no record at byte %d", s.r.Name(), s.rOffset)
		return false
	}
	body := make([]byte, format+payload)
	if _, err := io.ReadFull(s.br, body); err != nil || crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(head[12:]) {
		s.damaged = fmt.Errorf("%s: the record at byte %d is damaged", s.r.Name(), s.rOffset)
		return false
	}
	s.next, s.format = body, int(format)
	return true
}

// done says that the oldest batch was sent.
func (s *spill) done() {
	s.rOffset += uint64(spillHead + len(s.next))
	s.next = nil
	s.oldest() // removes a segment that was read whole
}

// removeOldest removes the oldest segment, and its position with it, which says
// nothing about a later segment of the same number.
func (s *spill) removeOldest() {
	path := s.path(s.segments[0])
	s.forgetOldest()
	os.Remove(s.base + ".position")
	os.Remove(path)
}

func (s *spill) forgetOldest() {
	path := s.path(s.segments[0])
	if info, err := os.Stat(path); err == nil {
		s.bytes -= min(s.bytes, uint64(info.Size()))
	}
	if s.r != nil {
		s.r.Close()
		s.r = nil
	}
	if len(s.segments) == 1 && s.w != nil {
		s.w.Close()
		s.w = nil
	}
	s.segments = s.segments[1:]
	s.rOffset = 0
	if len(s.segments) == 0 {
		s.bytes = 0 // whatever others did to the files
	}
}

// takeDamage returns what was lost to a damaged file, once.
func (s *spill) takeDamage() error {
	err := s.damaged
	s.damaged = nil
	return err
}

// close ends the spill; what is left stays on disk.
func (s *spill) close() {
	if s == nil {
		return
	}
	if !s.empty() {
		position := fmt.Sprintf("%d %d\n", s.segments[0], s.rOffset)
		if os.WriteFile(s.base+".position.new", []byte(position), 0o644) == nil {
			os.Rename(s.base+".position.new", s.base+".position")
		}
	}
	for _, f := range []*os.File{s.r, s.w, s.lock} {
		if f != nil {
			f.Close()
		}
	}
}
