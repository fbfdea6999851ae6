// SPDX-License-Identifier: BSD-3-Clause

package event

import (
	"encoding/binary"
	"math/bits"
)

// An opaque value travels as a list of two items, the name of Zeek's C++ class and its state
// (src/OpaqueVal.cc, OpaqueVal::UnserializeData). The class is made from the name alone, and for several of them the
// state is trusted: it holds array indexes, moduli and lengths. The checks here keep to those that lead to a crash;
// state that the class itself refuses passes.
//
// A list whose first item happens to be such a name but which is not an opaque value, say a record with a string
// field, is held to the same rules. No such name is likely in a script value.

// opaque reports whether the list of two items at body, of which the first is a string, is safe to be taken for an
// opaque value. The bytes have been checked before: they are well-formed.
func (s *binScan) opaque(body int) bool {
	c := cursor{p: s.p, pos: body}
	name := c.str()
	class := opaqueClassOf(name)
	if class == notOpaque {
		return true
	}
	ok := class.check(&c)
	// Opaque values inside opaque values would be walked over once per level; this keeps the time linear.
	s.rescanned += c.pos - body
	if s.rescanned > 8*len(s.p) {
		ok = false
	}
	if !ok {
		s.detail = quote(string(name))
	}
	return ok
}

// maxOpaqueName is the length of the longest name opaqueCheck knows.
const maxOpaqueName = len("zeek::Broker::detail::RecordIterator")

// opaqueClass is a class, or several that are checked alike, whose state is trusted.
type opaqueClass byte

const (
	notOpaque opaqueClass = iota
	classMD5
	classSHA1
	classSHA256
	classSHA512
	classEntropy
	classBloomFilter
	classCardinality
	classTopk
	classParaglob
	classSetIterator
	classTableIterator
	classListIterator
)

// opaqueClassOf returns the class of the given name, or notOpaque if there is none that trusts its state.
func opaqueClassOf(name []byte) opaqueClass {
	if len(name) < len("MD5Val") || len(name) > maxOpaqueName {
		return notOpaque
	}
	switch string(name) {
	case "MD5Val":
		return classMD5
	case "SHA1Val":
		return classSHA1
	case "SHA224Val", "SHA256Val":
		return classSHA256
	case "SHA384Val", "SHA512Val":
		return classSHA512
	case "EntropyVal":
		return classEntropy
	case "BloomFilterVal":
		return classBloomFilter
	case "CardinalityVal":
		return classCardinality
	case "TopkVal":
		return classTopk
	case "ParaglobVal":
		return classParaglob
	case "zeek::Broker::detail::SetIterator":
		return classSetIterator
	case "zeek::Broker::detail::TableIterator":
		return classTableIterator
	case "zeek::Broker::detail::VectorIterator", "zeek::Broker::detail::RecordIterator":
		return classListIterator
	}
	return notOpaque
}

// check checks the state at c.
func (class opaqueClass) check(c *cursor) bool {
	switch class {
	case classMD5:
		return checkHash(c, 92, 88, 64)
	case classSHA1:
		return checkHash(c, 96, 92, 64)
	case classSHA256:
		return checkHash(c, 112, 104, 64)
	case classSHA512:
		return checkHash(c, 216, 208, 128)
	case classEntropy:
		return checkEntropy(c)
	case classBloomFilter:
		return checkBloomFilter(c)
	case classCardinality:
		return checkCardinality(c)
	case classTopk:
		return checkTopk(c)
	case classParaglob:
		return checkParaglob(c)
	case classSetIterator:
		return checkIterator(c, tagSet)
	case classTableIterator:
		return checkIterator(c, tagTable)
	case classListIterator:
		return checkListIterator(c)
	}
	return true
}

// cursor reads values whose bytes are known to be well-formed. Reading a value as a type it is not leaves the
// position alone and yields false.
type cursor struct {
	p   []byte
	pos int
}

func (c *cursor) is(tag byte) bool { return c.pos < len(c.p) && c.p[c.pos] == tag }

func (c *cursor) varuint() int {
	v, shift := 0, 0
	for {
		b := c.p[c.pos]
		c.pos++
		v |= int(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
		shift += 7
	}
}

func (c *cursor) list() (n int, ok bool) {
	if !c.is(tagList) {
		return 0, false
	}
	c.pos++
	return c.varuint(), true
}

func (c *cursor) word(tag byte) (v uint64, ok bool) {
	if !c.is(tag) {
		return 0, false
	}
	v = binary.BigEndian.Uint64(c.p[c.pos+1:])
	c.pos += 9
	return v, true
}

func (c *cursor) count() (uint64, bool) { return c.word(tagCount) }

func (c *cursor) str() []byte {
	if !c.is(tagString) {
		return nil
	}
	c.pos++
	n := c.varuint()
	c.pos += n
	return c.p[c.pos-n : c.pos]
}

func (c *cursor) skip() {
	tag := c.p[c.pos]
	c.pos++
	if size := fixedSize[tag]; size >= 0 {
		c.pos += int(size)
		return
	}
	n := c.varuint()
	switch tag {
	case tagString, tagEnum:
		c.pos += n
		return
	case tagTable:
		n *= 2
	}
	for ; n > 0; n-- {
		c.skip()
	}
}

// The hash classes copy the bytes of OpenSSL's context over their own. Its field num says how many bytes of the
// current block are filled, and the next update copies to that place in the block.
func checkHash(c *cursor, size, num, block int) bool {
	n, ok := c.list()
	if !ok || n != 2 || !c.is(tagBool) || c.p[c.pos+1] == 0 {
		return true
	}
	c.pos += 2
	state := c.str()
	return len(state) != size || int64(binary.NativeEndian.Uint32(state[num:])) < int64(block)
}

// The second number of an entropy state is the place in an array of 6 that the next byte is written to.
func checkEntropy(c *cursor) bool {
	n, ok := c.list()
	if !ok || n < 2 {
		return true
	}
	if _, ok = c.count(); !ok {
		return true
	}
	mp, ok := c.count()
	return !ok || uint32(mp) < 6
}

// checkType checks the element type of a probabilistic container. A type given by number is made without the parts
// that compound types have, and hashing a value of it ends the process.
func checkType(c *cursor) (unset, ok bool) {
	if c.is(tagNone) {
		c.pos++
		return true, true
	}
	n, ok := c.list()
	if !ok || n != 2 || !c.is(tagBool) {
		return false, false
	}
	byName := c.p[c.pos+1] != 0
	c.pos += 2
	if byName {
		if !c.is(tagString) {
			return false, false
		}
		c.skip()
		return false, true
	}
	t, ok := c.count()
	return false, ok && t < 64 && 1<<t&scalarTypes != 0
}

// scalarTypes has the bits of Zeek's type numbers bool, int, count, double, time, interval, string, enum, port, addr
// and subnet (src/Type.h).
const scalarTypes uint64 = 0x1efe

// checkBits checks a bit vector: its number of bits must be what its blocks can hold, since both index them, and not
// zero, since hashes are taken modulo it. It returns the number of bits.
func checkBits(c *cursor) (uint64, bool) {
	n, ok := c.list()
	if !ok || n < 2 {
		return 0, false
	}
	numBits, ok1 := c.count()
	blocks, ok2 := c.count()
	if !ok1 || !ok2 || blocks != uint64(n-2) || numBits == 0 || (numBits-1)/64+1 != blocks {
		return 0, false
	}
	for i := 2; i < n; i++ {
		if _, ok = c.count(); !ok {
			return 0, false
		}
	}
	return numBits, true
}

func checkBloomFilter(c *cursor) bool {
	if n, ok := c.list(); !ok || n != 2 {
		return true
	}
	if _, ok := checkType(c); !ok {
		return false
	}
	if n, ok := c.list(); !ok || n != 3 {
		return true
	}
	kind, ok := c.count()
	if !ok {
		return true
	}
	// The hasher: kind, number of hash functions, two seeds. It allocates 16 bytes or more per function.
	if n, ok := c.list(); !ok || n != 4 {
		return false
	}
	for i := 0; i < 4; i++ {
		v, ok := c.count()
		if !ok || i == 1 && (v == 0 || v > 1024) {
			return false
		}
	}
	if kind == 0 { // basic
		_, ok = checkBits(c)
		return ok
	}
	// counting: the width of a counter in bits, and the bits of all counters
	if n, ok := c.list(); !ok || n != 2 {
		return false
	}
	width, ok := c.count()
	if !ok || width == 0 || width > 64 {
		return false
	}
	numBits, ok := checkBits(c)
	return ok && numBits%width == 0
}

// The buckets of a cardinality counter are indexed by a hash modulo their number, which must be a power of two that
// the class's own constructor would allow.
func checkCardinality(c *cursor) bool {
	if n, ok := c.list(); !ok || n != 2 {
		return true
	}
	if _, ok := checkType(c); !ok {
		return false
	}
	n, ok := c.list()
	if !ok || n < 3 {
		return true
	}
	m, ok := c.count()
	return !ok || m >= 16 && bits.OnesCount64(m) == 1
}

// A top-k counter needs an element type as soon as it has elements, and never keeps an empty bucket. Elements must be
// different, which the class asserts; that depends on their type and is not checked here.
func checkTopk(c *cursor) bool {
	n, ok := c.list()
	if !ok || n < 4 {
		return true
	}
	if _, ok = c.count(); !ok {
		return true
	}
	elements, ok := c.count()
	if !ok || !c.is(tagBool) {
		return true
	}
	c.pos += 2
	unset, ok := checkType(c)
	if !ok || unset && elements != 0 {
		return false
	}
	n -= 4
	for n > 0 {
		size, ok1 := c.count()
		_, ok2 := c.count()
		if !ok1 || !ok2 || size == 0 || size > uint64(n) || n < 2+2*int(size) {
			return false
		}
		for i := uint64(0); i < size; i++ {
			if _, ok := c.count(); !ok {
				return false
			}
			c.skip()
		}
		n -= 2 + 2*int(size)
	}
	return true
}

// A set of glob patterns is a list of bytes, each sent as a count: a number of 8 bytes, and for every pattern its
// length in 8 bytes and its text. The reader looks at the first byte of a number only and copies without looking
// where the list ends.
func checkParaglob(c *cursor) bool {
	n, ok := c.list()
	if !ok {
		return true
	}
	// A count takes 9 bytes, and its low byte is the last.
	first := c.pos
	for i := 0; i < n; i++ {
		if _, ok := c.count(); !ok {
			return true
		}
	}
	i := 8
	for i < n {
		i += 8 + int(c.p[first+9*i+8])
	}
	return i == n
}

// An iterator over a set or table is that container and the key it stands at. The container's type is not checked
// before it is used.
func checkIterator(c *cursor, want byte) bool {
	n, ok := c.list()
	return !ok || n != 2 || c.is(want)
}

// An iterator over a vector or record is the list and the index it stands at, which is not checked.
func checkListIterator(c *cursor) bool {
	if n, ok := c.list(); !ok || n != 2 || !c.is(tagList) {
		return true
	}
	inner := *c
	size, _ := inner.list()
	c.skip()
	i, ok := c.word(tagInt)
	return !ok || i <= uint64(size)
}
