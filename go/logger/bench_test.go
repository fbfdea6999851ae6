// SPDX-License-Identifier: BSD-3-Clause

package logger

import (
	"os"
	"testing"

	"github.com/zeekzmq/zeek-zeromq/go/logbatch"
)

// benchBatch is 1000 records with columns like those of conn.log.
func benchBatch(tb testing.TB) []byte {
	b, err := logbatch.NewBuilder(ConnHeader)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range 1000 {
		AddConn(b, i)
	}
	p, err := b.Bytes()
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// Decoding and formatting, without socket and file.
func BenchmarkFormat(b *testing.B) {
	payload := benchBatch(b)
	for _, f := range []Format{TSV, JSON, Parquet} {
		b.Run(string(f), func(b *testing.B) {
			null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
			if err != nil {
				b.Fatal(err)
			}
			out := &file{l: &Logger{}, name: os.DevNull, f: null}
			var e encoder
			switch f {
			case TSV:
				e = newText(out, tsv{}, "conn", ConnHeader.Fields, testTime)
			case JSON:
				e = newText(out, newJSON(ConnHeader.Fields), "conn", ConnHeader.Fields, testTime)
			default:
				e = newParquet(out, "conn", ConnHeader.Fields)
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(payload)))
			for range b.N {
				r, err := logbatch.NewReader(payload)
				if err != nil {
					b.Fatal(err)
				}
				if err := e.add(r); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
