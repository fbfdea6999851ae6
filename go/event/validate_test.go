// SPDX-License-Identifier: BSD-3-Clause

package event_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/zeekzmq/zeek-zeromq/go/event"
	"github.com/zeekzmq/zeek-zeromq/go/internal/vectors"
)

var eventFiles = []string{"bin-events.json", "bin-timestamp-events.json", "json-events.json"}

func TestValidateAcceptsWhatZeekSends(t *testing.T) {
	for _, file := range eventFiles {
		for _, m := range vectors.Load(t, file) {
			if err := event.Validate(m.Format, m.Payload); err != nil {
				t.Errorf("%s %s: %v", file, m.What, err)
			}
		}
	}
}

const (
	binHead = "\x0e\x03" + "\x02\x00\x00\x00\x00\x00\x00\x00\x01" + "\x02\x00\x00\x00\x00\x00\x00\x00\x01"
	binName = "\x05\x01e"
)

// binEvent returns an event "e" with n arguments.
func binEvent(n int, args ...string) string {
	return binHead + "\x0e\x02" + binName + "\x0e" + string(rune(n)) + strings.Join(args, "")
}

func count(v uint64) string {
	return "\x02" + string(binary.BigEndian.AppendUint64(nil, v))
}

func integer(v int64) string {
	return "\x03" + string(binary.BigEndian.AppendUint64(nil, uint64(v)))
}

// str and list take fewer than 128 bytes or items.
func str(s string) string { return "\x05" + string(rune(len(s))) + s }

func list(items ...string) string {
	return "\x0e" + string(rune(len(items))) + strings.Join(items, "")
}

func opaque(class, state string) string { return binEvent(1, list(str(class), state)) }

func TestValidateBin(t *testing.T) {
	const v4 = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x00"
	const v6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	nested := func(depth int) string {
		return binHead + "\x0e\x02" + binName + strings.Repeat("\x0e\x01", depth) + "\x00"
	}
	tests := []struct {
		name    string
		payload string
		want    error
	}{
		{"no arguments", binEvent(0), nil},
		{"padded count", binHead + "\x0e\x82\x00" + binName + "\x0e\x80\x80\x80\x80\x00", nil},
		{"empty metadata", binHead + "\x0e\x03" + binName + "\x0e\x00" + "\x0e\x00", nil},
		{"metadata", binHead + "\x0e\x03" + binName + "\x0e\x00" + list(list(count(200), str("x"))), nil},

		{"empty payload", "", event.ErrTruncated},
		{"a bare value", count(1), event.ErrEnvelope},
		{"outer list of two", "\x0e\x02" + count(1) + count(1), event.ErrEnvelope},
		{"version 2", "\x0e\x03" + count(2) + count(1) + list(str("e"), list()), event.ErrEnvelope},
		{"kind 5", "\x0e\x03" + count(1) + count(5) + list(str("e"), list()), event.ErrEnvelope},
		{"version as int", "\x0e\x03" + integer(1) + count(1) + list(str("e"), list()), event.ErrEnvelope},
		{"content of one", binHead + list(str("e")), event.ErrEnvelope},
		{"content of four", binHead + list(str("e"), list(), list(), list()), event.ErrEnvelope},
		{"content is a set", binHead + "\x0c\x02" + str("e") + list(), event.ErrEnvelope},
		{"empty name", binHead + list(str(""), list()), event.ErrEnvelope},
		{"name is an enum", binHead + list("\x0b\x01e", list()), event.ErrEnvelope},
		{"arguments are a set", binHead + list(str("e"), "\x0c\x00"), event.ErrEnvelope},
		{"metadata entry of one", binHead + list(str("e"), list(), list(list(count(1)))), event.ErrEnvelope},
		{"metadata entry of three", binHead + list(str("e"), list(), list(list(count(1), count(1), count(1)))), event.ErrEnvelope},
		{"metadata entry is a count", binHead + list(str("e"), list(), list(count(1))), event.ErrEnvelope},
		{"metadata id is a string", binHead + list(str("e"), list(), list(list(str("1"), count(1)))), event.ErrEnvelope},
		{"metadata is a string", binHead + list(str("e"), list(), str("x")), event.ErrEnvelope},

		{"trailing byte", binEvent(0) + "\x00", event.ErrTrailing},
		{"argument missing", binEvent(1), event.ErrCount},
		{"second argument missing", binEvent(2, "\x01\x01"), event.ErrTruncated},
		{"tag 15", binEvent(1, "\x0f"), event.ErrTag},
		{"tag 255", binEvent(1, "\xff"), event.ErrTag},
		{"short count", binEvent(1, "\x02\x00\x00"), event.ErrTruncated},
		{"short string", binEvent(1, "\x05\x03ab"), event.ErrTruncated},
		{"string of 4 GB", binEvent(1, "\x05\xff\xff\xff\xff\x0f"), event.ErrTruncated},
		{"set of 4 G elements", binEvent(1, "\x0c\xff\xff\xff\xff\x0f"), event.ErrCount},
		{"table with half a pair", binEvent(1, "\x0d\x01\x01\x01"), event.ErrTruncated},
		{"table of more pairs than fit", binEvent(1, "\x0d\x02\x00\x00\x00"), event.ErrCount},
		{"varuint above 32 bits", binEvent(1, "\x05\xff\xff\xff\xff\x10"), event.ErrVaruint},
		{"varuint of six bytes", binEvent(1, "\x05\x81\x80\x80\x80\x80\x00"), event.ErrVaruint},
		{"varuint cut off", binEvent(1, "\x05\x81"), event.ErrTruncated},
		{"protocol 3", binEvent(1, "\x08\x00\x00\x03"), nil},
		{"protocol 4", binEvent(1, "\x08\x00\x00\x04"), event.ErrPort},
		{"IPv4 /0", binEvent(1, "\x07"+v4+"\x60"), nil},
		{"IPv4 /32", binEvent(1, "\x07"+v4+"\x80"), nil},
		{"IPv4 below /0", binEvent(1, "\x07"+v4+"\x5f"), event.ErrSubnet},
		{"IPv4 with its own length", binEvent(1, "\x07"+v4+"\x08"), event.ErrSubnet},
		{"IPv6 /0", binEvent(1, "\x07"+v6+"\x00"), nil},
		{"IPv6 /128", binEvent(1, "\x07"+v6+"\x80"), nil},
		{"IPv6 /129", binEvent(1, "\x07"+v6+"\x81"), event.ErrSubnet},

		{"62 levels of arguments", nested(event.MaxDepth - 2), nil},
		{"63 levels of arguments", nested(event.MaxDepth - 1), event.ErrDepth},
		{"a million levels", nested(1e6), event.ErrDepth},
		{"a million nones", binHead + "\x0e\x02" + binName + "\x0e\x01\x0e\xc0\x84\x3d" + strings.Repeat("\x00", 1e6), event.ErrTooLarge},
		{"a million bools", binHead + "\x0e\x02" + binName + "\x0e\x01\x0e\xc0\x84\x3d" + strings.Repeat("\x01\x01", 1e6), nil},

		{"set iterator", opaque("zeek::Broker::detail::SetIterator", list("\x0c\x01"+count(1), count(1))), nil},
		{"set iterator without set", opaque("zeek::Broker::detail::SetIterator", list(count(1), count(1))), event.ErrOpaque},
		{"table iterator without table", opaque("zeek::Broker::detail::TableIterator", list("\x0c\x00", count(1))), event.ErrOpaque},
		{"vector iterator at end", opaque("zeek::Broker::detail::VectorIterator", list(list(count(1)), integer(1))), nil},
		{"vector iterator past end", opaque("zeek::Broker::detail::VectorIterator", list(list(count(1)), integer(2))), event.ErrOpaque},
		{"record iterator before start", opaque("zeek::Broker::detail::RecordIterator", list(list(count(1)), integer(-1))), event.ErrOpaque},
		{"idle hash", opaque("MD5Val", list("\x01\x00")), nil},
		{"hash", opaque("MD5Val", list("\x01\x01", str(strings.Repeat("\x00", 92)))), nil},
		{"hash with full block", opaque("MD5Val", list("\x01\x01", str(strings.Repeat("\x00", 88)+"\x40\x40\x40\x40"))), event.ErrOpaque},
		{"hash of other size", opaque("SHA1Val", list("\x01\x01", str(strings.Repeat("\xff", 92)))), nil},
		{"entropy", opaque("EntropyVal", list(count(1), count(5))), nil},
		{"entropy past its array", opaque("EntropyVal", list(count(1), count(6))), event.ErrOpaque},
		{"Bloom filter", opaque("BloomFilterVal", list("\x00", list(count(0), list(count(1), count(3), count(1), count(1)), list(count(65), count(2), count(0), count(0))))), nil},
		{"Bloom filter with too few blocks", opaque("BloomFilterVal", list("\x00", list(count(0), list(count(1), count(3), count(1), count(1)), list(count(129), count(2), count(0), count(0))))), event.ErrOpaque},
		{"Bloom filter without bits", opaque("BloomFilterVal", list("\x00", list(count(0), list(count(1), count(3), count(1), count(1)), list(count(0), count(0))))), event.ErrOpaque},
		{"Bloom filter with endless hashers", opaque("BloomFilterVal", list("\x00", list(count(0), list(count(0), count(1<<60), count(1), count(1)), list(count(64), count(1), count(0))))), event.ErrOpaque},
		{"Bloom filter of tables", opaque("BloomFilterVal", list(list("\x01\x00", count(14)), list(count(0), list(count(1), count(3), count(1), count(1)), list(count(64), count(1), count(0))))), event.ErrOpaque},
		{"counting Bloom filter", opaque("BloomFilterVal", list(list("\x01\x00", count(7)), list(count(1), list(count(1), count(3), count(1), count(1)), list(count(2), list(count(64), count(1), count(0)))))), nil},
		{"counting Bloom filter without width", opaque("BloomFilterVal", list("\x00", list(count(1), list(count(1), count(3), count(1), count(1)), list(count(0), list(count(64), count(1), count(0)))))), event.ErrOpaque},
		{"cardinality without buckets", opaque("CardinalityVal", list("\x00", list(count(0), count(0), "\x04\x00\x00\x00\x00\x00\x00\x00\x00"))), event.ErrOpaque},
		{"top-k", opaque("TopkVal", list(count(3), count(1), "\x01\x00", list("\x01\x00", count(7)), count(1), count(5), count(0), str("x"))), nil},
		{"top-k without type", opaque("TopkVal", list(count(3), count(1), "\x01\x00", "\x00", count(1), count(5), count(0), str("x"))), event.ErrOpaque},
		{"paraglob", opaque("ParaglobVal", "\x0e\x12"+count(1)+strings.Repeat(count(0), 7)+count(2)+strings.Repeat(count(0), 7)+count('*')+count('a')), nil},
		{"paraglob past its end", opaque("ParaglobVal", "\x0e\x11"+count(1)+strings.Repeat(count(0), 7)+count(2)+strings.Repeat(count(0), 7)+count('*')), event.ErrOpaque},
		{"empty paraglob", opaque("ParaglobVal", list()), event.ErrOpaque},
		{"an opaque class that checks itself", opaque("X509Val", count(1)), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := event.Validate("broker-bin-v1", []byte(tt.payload))
			checkError(t, err, tt.want)
		})
	}
}

func checkError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
	var se *event.SyntaxError
	if err != nil && !errors.As(err, &se) {
		t.Errorf("error %v is a %T, want a *SyntaxError", err, err)
	}
}

// jsonEvent returns an event "e" with one argument.
func jsonEvent(arg string) string {
	return `{"@data-type":"vector","data":[` + jsonOne + `,` + jsonOne + `,` + vec(jsonName, vec(arg)) + `]}`
}

const (
	jsonOne  = `{"@data-type":"count","data":1}`
	jsonName = `{"@data-type":"string","data":"e"}`
)

func vec(items ...string) string {
	return `{"@data-type":"vector","data":[` + strings.Join(items, ",") + `]}`
}

func val(typ, data string) string {
	return fmt.Sprintf(`{"@data-type":%q,"data":%s}`, typ, data)
}

func TestValidateJSON(t *testing.T) {
	tests := []struct {
		name    string
		payload string
		want    error
	}{
		{"data before type", `{"data":[` + jsonOne + `,` + jsonOne + `,` + vec(jsonName, vec()) + `],"@data-type":"vector"}`, nil},
		{"white space", strings.NewReplacer(",", " ,\n", ":", "\t: ", "[", "[ ", "}", " }").Replace(jsonEvent(jsonOne)) + "\n", nil},
		{"wrapper of a WebSocket client", `{"type":"data-message","topic":"t",` + vec(jsonOne, jsonOne, vec(jsonName, vec()))[1:], nil},
		{"metadata", vec(jsonOne, jsonOne, vec(jsonName, vec(), vec(vec(jsonOne, jsonName)))), nil},

		{"empty", ``, event.ErrTruncated},
		{"array", `[1]`, event.ErrEnvelope},
		{"an empty object", `{}`, event.ErrData},
		{"a bare value", jsonOne, event.ErrEnvelope},
		{"outer list of two", vec(jsonOne, jsonOne), event.ErrEnvelope},
		{"version 2", vec(val("count", "2"), jsonOne, vec(jsonName, vec())), event.ErrEnvelope},
		{"kind is an integer", vec(jsonOne, val("integer", "1"), vec(jsonName, vec())), event.ErrEnvelope},
		{"content of one", vec(jsonOne, jsonOne, vec(jsonName)), event.ErrEnvelope},
		{"content of four", vec(jsonOne, jsonOne, vec(jsonName, vec(), vec(), vec())), event.ErrEnvelope},
		{"empty name", vec(jsonOne, jsonOne, vec(val("string", `""`), vec())), event.ErrEnvelope},
		{"arguments are a set", vec(jsonOne, jsonOne, vec(jsonName, val("set", "[]"))), event.ErrEnvelope},
		{"metadata entry of one", vec(jsonOne, jsonOne, vec(jsonName, vec(), vec(vec(jsonOne)))), event.ErrEnvelope},
		{"metadata entry is a string", vec(jsonOne, jsonOne, vec(jsonName, vec(), vec(jsonName))), event.ErrEnvelope},

		{"trailing text", jsonEvent(jsonOne) + "x", event.ErrTrailing},
		{"unknown type", jsonEvent(val("float", "1.0")), event.ErrTag},
		{"type given twice", jsonEvent(`{"@data-type":"count","@data-type":"vector","data":1}`), event.ErrData},
		{"type hidden in an escape", jsonEvent(`{"\u0040data-type":"vector","@data-type":"count","data":1}`), event.ErrData},
		{"unknown member", jsonEvent(`{"@data-type":"count","data":1,"x":1}`), event.ErrData},
		{"no type", jsonEvent(`{"data":1}`), event.ErrData},
		{"no data", jsonEvent(`{"@data-type":"count"}`), event.ErrData},
		{"none without data", jsonEvent(`{"@data-type":"none"}`), nil},
		{"pair as value", jsonEvent(`{"key":` + jsonOne + `,"value":` + jsonOne + `}`), event.ErrData},
		{"table", jsonEvent(val("table", `[{"value":`+jsonOne+`,"key":`+jsonOne+`}]`)), nil},
		{"table without value", jsonEvent(val("table", `[{"key":`+jsonOne+`}]`)), event.ErrData},
		{"table of values", jsonEvent(val("table", `[`+jsonOne+`]`)), event.ErrData},
		{"vector of pairs", jsonEvent(val("vector", `[{"key":`+jsonOne+`,"value":`+jsonOne+`}]`)), event.ErrData},
		{"vector of pairs and values", jsonEvent(val("vector", `[`+jsonOne+`,{"key":`+jsonOne+`,"value":`+jsonOne+`}]`)), event.ErrData},
		{"vector of numbers", jsonEvent(val("vector", `[1]`)), event.ErrJSON},
		{"empty table", jsonEvent(val("table", `[]`)), nil},
		{"count as string", jsonEvent(val("count", `"1"`)), event.ErrData},
		{"largest count", jsonEvent(val("count", "18446744073709551615")), nil},
		{"count above 64 bits", jsonEvent(val("count", "18446744073709551616")), event.ErrData},
		{"negative count", jsonEvent(val("count", "-1")), event.ErrData},
		{"smallest integer", jsonEvent(val("integer", "-9223372036854775808")), nil},
		{"integer above 64 bits", jsonEvent(val("integer", "9223372036854775808")), event.ErrData},
		{"infinity", jsonEvent(val("real", "-inf")), nil},
		{"bad number", jsonEvent(val("real", "1.")), event.ErrJSON},
		{"bad word", jsonEvent(val("boolean", "truth")), event.ErrJSON},
		{"bad escape", jsonEvent(val("string", `"\x"`)), event.ErrJSON},
		{"vertical tab", jsonEvent(val("string", `"\v"`)), nil},
		{"raw control character", jsonEvent(val("string", "\"\x00\xff\"")), nil},
		{"string without end", jsonEvent(val("string", `"x`)), event.ErrTruncated},
		{"address", jsonEvent(val("address", `"10.0.0.1"`)), nil},
		{"no address", jsonEvent(val("address", `"host"`)), event.ErrData},
		{"subnet", jsonEvent(val("subnet", `"10.0.0.0/8"`)), nil},
		{"subnet of 33 bits", jsonEvent(val("subnet", `"10.0.0.0/33"`)), event.ErrData},
		{"port", jsonEvent(val("port", `"80/?"`)), nil},
		{"port above 16 bits", jsonEvent(val("port", `"65536/tcp"`)), event.ErrData},
		{"time", jsonEvent(val("timestamp", `"2023-11-14T22:13:20.250"`)), nil},
		{"month 13", jsonEvent(val("timestamp", `"2023-13-14T22:13:20"`)), event.ErrData},
		{"year 9999", jsonEvent(val("timestamp", `"9999-01-14T22:13:20"`)), event.ErrData},
		{"interval", jsonEvent(val("timespan", `"-5min"`)), nil},
		{"interval out of range", jsonEvent(val("timespan", `"9223372036854775807h"`)), event.ErrData},

		{"62 levels of arguments", jsonEvent(strings.Repeat(`{"@data-type":"vector","data":[`, 60) + jsonOne + strings.Repeat("]}", 60)), nil},
		{"63 levels of arguments", jsonEvent(strings.Repeat(`{"@data-type":"vector","data":[`, 61) + jsonOne + strings.Repeat("]}", 61)), event.ErrDepth},
		{"a million brackets", strings.Repeat(`[`, 1e6), event.ErrEnvelope},
		{"a million levels", strings.Repeat(`{"data":[`, 1e6), event.ErrDepth},
		{"a million pairs", jsonEvent(`{"@data-type":"table","data":[` + strings.Repeat(`{"key":`, 1e6)), event.ErrData},
		{"a million pairs as the event", strings.Repeat(`{"value":`, 1e6), event.ErrData},
		{"a pair of pairs", jsonEvent(val("table", `[{"key":{"key":`+jsonOne+`,"value":`+jsonOne+`},"value":`+jsonOne+`}]`)), event.ErrData},
		{"opaque", jsonEvent(vec(val("string", `"EntropyVal"`), vec())), event.ErrOpaque},
		{"opaque in escapes", jsonEvent(vec(val("string", `"\u0045ntropyVal"`), vec())), event.ErrOpaque},
		{"opaque that checks itself", jsonEvent(vec(val("string", `"X509Val"`), vec())), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := event.Validate([]byte("broker-json-v1"), []byte(tt.payload))
			checkError(t, err, tt.want)
		})
	}
}

func TestFormats(t *testing.T) {
	for _, name := range []string{"broker-bin-v1", "broker-json-v1"} {
		f, err := event.ParseFormat([]byte(name))
		if err != nil || f.String() != name {
			t.Errorf("ParseFormat(%q) = %v, %v", name, f, err)
		}
	}
	for _, name := range []string{"", "broker-bin-v2", "BROKER-BIN-V1", strings.Repeat("x", 1000)} {
		_, err := event.ParseFormat(name)
		checkError(t, err, event.ErrUnknownFormat)
		checkError(t, event.Validate(name, nil), event.ErrUnknownFormat)
		if len(err.Error()) > 200 {
			t.Errorf("error for a long name has %d bytes", len(err.Error()))
		}
	}
	checkError(t, event.Format(0).Validate(nil), event.ErrUnknownFormat)
}

func TestErrorsSayWhere(t *testing.T) {
	err := event.Validate("broker-bin-v1", []byte(binEvent(1, "\x08\x00\x35\x07")))
	want := "event: bad port at offset 27: protocol 7"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// mutate calls f with many damaged copies of p: cut short, with flipped bits, with bytes set to the values that lengths
// and tags are sensitive to, with pieces repeated.
func mutate(p []byte, r *rand.Rand, n int, f func([]byte)) {
	for i := range p {
		f(p[:i])
	}
	for i := range p {
		for _, b := range []byte{0x00, 0x01, 0x0c, 0x0d, 0x0e, 0x0f, 0x7f, 0x80, 0xff, p[i] + 1, p[i] ^ 0x80} {
			q := bytes.Clone(p)
			q[i] = b
			f(q)
		}
	}
	for ; n > 0; n-- {
		q := bytes.Clone(p)
		for k := r.Intn(4) + 1; k > 0; k-- {
			i, j := r.Intn(len(q)), r.Intn(len(q))
			if i > j {
				i, j = j, i
			}
			switch r.Intn(4) {
			case 0:
				q[i] ^= 1 << r.Intn(8)
			case 1:
				q = append(q[:i:i], q[j:]...)
			case 2:
				q = append(append(bytes.Clone(q[:j]), q[i:j]...), q[j:]...)
			case 3:
				q = append(append(bytes.Clone(q[:i]), "\xff\xff\xff\xff\x0f"...), q[i:]...)
			}
			if len(q) == 0 {
				break
			}
		}
		f(q)
	}
}

func TestValidateSurvivesDamage(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for _, file := range eventFiles {
		accepted, rejected := 0, 0
		for _, m := range vectors.Load(t, file) {
			mutate(m.Payload, r, 200, func(p []byte) {
				switch err := event.Validate(m.Format, p); {
				case err == nil:
					accepted++
				default:
					checkError(t, err, err)
					rejected++
				}
			})
		}
		if accepted == 0 || rejected == 0 {
			t.Errorf("%s: %d damaged payloads accepted, %d rejected, want some of both", file, accepted, rejected)
		}
	}
}

func TestValidateDoesNotAllocate(t *testing.T) {
	for _, file := range eventFiles {
		for _, m := range vectors.Load(t, file) {
			format := []byte(m.Format)
			if n := testing.AllocsPerRun(10, func() {
				f, err := event.ParseFormat(format)
				if err == nil {
					err = f.Validate(m.Payload)
				}
				if err == nil {
					err = event.Validate(format, m.Payload)
				}
				if err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s %s: %v allocations", file, m.What, n)
			}
		}
	}
	p := []byte(opaque("EntropyVal", list(count(1), count(5))))
	if n := testing.AllocsPerRun(10, func() {
		if err := event.Validate("broker-bin-v1", p); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("opaque value: %v allocations", n)
	}
}

// Values inside values that need a second look must not make the time grow with the depth.
func TestValidateTakesLinearTime(t *testing.T) {
	inner := strings.Repeat(count(1), 1<<16)
	arg := "\x0e\x80\x80\x04" + inner
	for i := 0; i < 20; i++ {
		arg = list(str("zeek::Broker::detail::VectorIterator"), list(list(arg), integer(1)))
	}
	checkError(t, event.Validate("broker-bin-v1", []byte(binEvent(1, arg))), event.ErrOpaque)
}

func FuzzValidateBin(f *testing.F) {
	fuzzValidate(f, event.BrokerBinV1, "bin-events.json", "bin-timestamp-events.json")
}

func FuzzValidateJSON(f *testing.F) {
	fuzzValidate(f, event.BrokerJSONV1, "json-events.json")
}

func fuzzValidate(f *testing.F, format event.Format, files ...string) {
	for _, file := range files {
		for _, m := range vectors.Load(f, file) {
			f.Add(m.Payload)
		}
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		before := bytes.Clone(p)
		err := format.Validate(p)
		if err != nil {
			checkError(t, err, err)
		}
		if !bytes.Equal(p, before) {
			t.Error("payload changed")
		}
		if format.Validate(p[:len(p):len(p)]) == nil != (err == nil) {
			t.Error("second look differs")
		}
	})
}

func BenchmarkValidate(b *testing.B) {
	bench := func(name, format string, p []byte) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(p)))
			for i := 0; i < b.N; i++ {
				if err := event.Validate(format, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, file := range eventFiles {
		for _, m := range vectors.Load(b, file) {
			switch m.What {
			case "t_string hi", "t_many 7 worker-1 192.0.2.1 53/udp 500msec", "t_record [b=T,i=unset,inner=[n=1,s=z],tags={x}]":
				bench(fmt.Sprintf("%s/%s/%dB", m.Format, strings.Fields(m.What)[0], len(m.Payload)), m.Format, m.Payload)
			}
		}
	}
	bench("broker-bin-v1/64B", "broker-bin-v1", []byte(binEvent(2, str(strings.Repeat("x", 26)), count(1))))
}
