// SPDX-License-Identifier: BSD-3-Clause

package logger

import (
	"math"

	"github.com/parquet-go/parquet-go"

	"github.com/zeekzmq/zeek-zeromq/go/logbatch"
)

// All of this file runs on the goroutines of the writers.

// rowGroup is how many records are in a row group, which is what is held in memory until it is written.
const rowGroup = 50000

// rowsAtATime is how many rows the columns are given at a time.
const rowsAtATime = 64

// columns is a parquet.Group in the order of the log's fields instead of the alphabet's.
type columns struct {
	parquet.Group
	names []string
}

func (c columns) Fields() []parquet.Field {
	byName := map[string]parquet.Field{}
	for _, f := range c.Group.Fields() {
		byName[f.Name()] = f
	}
	fields := make([]parquet.Field, len(c.names))
	for i, name := range c.names {
		fields[i] = byName[name]
	}
	return fields
}

// parquetNode is how a Zeek type is stored. Strings that are no text are escaped as in JSON.
func parquetNode(t, sub logbatch.Type) parquet.Node {
	switch t {
	case logbatch.Bool:
		return parquet.Leaf(parquet.BooleanType)
	case logbatch.Int:
		return parquet.Int(64)
	case logbatch.Count:
		return parquet.Uint(64)
	case logbatch.Port:
		return parquet.Uint(16)
	case logbatch.Time:
		return parquet.Timestamp(parquet.Microsecond)
	case logbatch.Double, logbatch.Interval:
		return parquet.Leaf(parquet.DoubleType)
	case logbatch.Enum:
		return parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
	case logbatch.Set, logbatch.Vector:
		return parquet.List(parquet.Optional(parquetNode(sub, 0)))
	}
	return parquet.String()
}

// parquetLog is the encoder of Apache Parquet. A file can be read once it is closed.
type parquetLog struct {
	w        *parquet.GenericWriter[any]
	list     []bool // which columns are lists
	rows     []parquet.Row
	values   []parquet.Value // those of the rows
	elements []logbatch.Value
	text     []byte // what the values point to
	inGroup  int
}

func newParquet(f *file, path string, fields []logbatch.Field) *parquetLog {
	p := &parquetLog{}
	root := columns{Group: parquet.Group{}}
	for _, field := range fields {
		name := field.Name
		for root.Group[name] != nil { // a name that is there twice
			name += "_"
		}
		root.Group[name] = parquet.Optional(parquetNode(field.Type, field.Subtype))
		root.names = append(root.names, name)
		p.list = append(p.list, field.Type == logbatch.Set || field.Type == logbatch.Vector)
	}
	p.w = parquet.NewGenericWriter[any](f, parquet.NewSchema(path, root), parquet.Compression(&parquet.Zstd),
		parquet.CreatedBy("zeek-zeromq", "", ""))
	return p
}

func (p *parquetLog) add(r *logbatch.Reader) error {
	for r.Next() {
		start := len(p.values)
		for i, v := range r.Row() {
			switch {
			case !p.list[i]:
				p.value(v, 0, 1, i)
			case !v.IsSet():
				p.values = append(p.values, parquet.Value{}.Level(0, 0, i))
			case v.Len() == 0:
				p.values = append(p.values, parquet.Value{}.Level(0, 1, i))
			default:
				p.elements = v.AppendElements(p.elements[:0])
				for n, e := range p.elements {
					p.value(e, min(n, 1), 3, i)
				}
			}
		}
		p.rows = append(p.rows, p.values[start:])
		p.inGroup++
		if len(p.rows) == rowsAtATime || p.inGroup == rowGroup {
			if err := p.write(); err != nil {
				return err
			}
		}
		if p.inGroup == rowGroup {
			p.inGroup = 0
			if err := p.w.Flush(); err != nil {
				return err
			}
		}
	}
	return p.write()
}

// write hands the rows at hand to the columns, which copy them.
func (p *parquetLog) write() error {
	if len(p.rows) == 0 {
		return nil
	}
	_, err := p.w.WriteRows(p.rows)
	p.rows, p.values, p.text = p.rows[:0], p.values[:0], p.text[:0]
	return err
}

// value appends a value to the row at hand, or null if it is unset; defined is its definition level if it is not.
func (p *parquetLog) value(v logbatch.Value, repetition, defined, column int) {
	var pv parquet.Value
	if !v.IsSet() {
		p.values = append(p.values, pv.Level(repetition, defined-1, column))
		return
	}
	start := len(p.text)
	switch v.Type() {
	case logbatch.Bool:
		pv = parquet.BooleanValue(v.Bool())
	case logbatch.Int:
		pv = parquet.Int64Value(v.Int())
	case logbatch.Count:
		pv = parquet.Int64Value(int64(v.Count()))
	case logbatch.Port:
		n, _ := v.Port()
		pv = parquet.Int32Value(int32(n))
	case logbatch.Time:
		pv = parquet.Int64Value(micros(v.Float()))
	case logbatch.Double, logbatch.Interval:
		pv = parquet.DoubleValue(v.Float())
	case logbatch.Addr:
		p.text = appendAddr(p.text, v.Addr())
		pv = parquet.ByteArrayValue(p.text[start:])
	case logbatch.Subnet:
		p.text = appendSubnet(p.text, v.Subnet())
		pv = parquet.ByteArrayValue(p.text[start:])
	default:
		p.text = appendCleanText(p.text, v.Bytes())
		pv = parquet.ByteArrayValue(p.text[start:])
	}
	p.values = append(p.values, pv.Level(repetition, defined, column))
}

// micros returns seconds as microseconds, the nearest that an int64 can hold; 0 for NaN.
func micros(s float64) int64 {
	switch us := math.Round(s * 1e6); {
	case us != us:
		return 0
	case us >= math.MaxInt64:
		return math.MaxInt64
	case us <= math.MinInt64:
		return math.MinInt64
	default:
		return int64(us)
	}
}

// flush does nothing: row groups are of use only if they are large.
func (p *parquetLog) flush() error { return nil }

// held is 0: how large a row group becomes shows when it is written.
func (p *parquetLog) held() int64 { return 0 }

func (p *parquetLog) finish() error { return p.w.Close() }
