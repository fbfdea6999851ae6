// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"encoding/binary"
	"net/netip"
	"os"
	"sort"
)

// A packet is an Ethernet frame and its time in microseconds since 1970.
type packet struct {
	time  int64
	frame []byte
}

// A capture is packets, in any order until they are written.
type capture struct {
	packets []packet
	ipID    uint16
}

const (
	protoICMP = 1
	protoTCP  = 6
	protoUDP  = 17
)

// Flags of a TCP header.
const (
	tcpFIN = 1 << iota
	tcpSYN
	tcpRST
	tcpPSH
	tcpACK
)

// mac makes up a locally administered address that belongs to an IP address.
func mac(a netip.Addr) []byte {
	b := a.AsSlice()
	return append([]byte{0x02, 0x00}, b[len(b)-4:]...)
}

// sum16 adds big-endian 16-bit words, as the checksums of IP want it.
func sum16(sum uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// add wraps a transport segment in IP and Ethernet. checksumAt is where in the
// segment its checksum goes; it covers the addresses too, but for ICMP.
func (c *capture) add(time int64, src, dst netip.Addr, proto byte, segment []byte, checksumAt int) {
	var sum uint32
	if proto != protoICMP {
		sum = sum16(sum16(uint32(proto)+uint32(len(segment)), src.AsSlice()), dst.AsSlice())
	}
	check := fold(sum16(sum, segment))
	if check == 0 && proto == protoUDP {
		check = 0xffff
	}
	binary.BigEndian.PutUint16(segment[checksumAt:], check)

	var etherType uint16 = 0x86dd
	var ip []byte
	if src.Is4() {
		etherType = 0x0800
		c.ipID++
		ip = []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, proto, 0, 0}
		binary.BigEndian.PutUint16(ip[2:], uint16(20+len(segment)))
		binary.BigEndian.PutUint16(ip[4:], c.ipID)
		ip = append(append(ip, src.AsSlice()...), dst.AsSlice()...)
		binary.BigEndian.PutUint16(ip[10:], fold(sum16(0, ip)))
	} else {
		ip = []byte{0x60, 0, 0, 0, 0, 0, proto, 64}
		binary.BigEndian.PutUint16(ip[4:], uint16(len(segment)))
		ip = append(append(ip, src.AsSlice()...), dst.AsSlice()...)
	}

	frame := append(mac(dst), mac(src)...)
	frame = binary.BigEndian.AppendUint16(frame, etherType)
	frame = append(append(frame, ip...), segment...)
	c.packets = append(c.packets, packet{time, frame})
}

func (c *capture) udp(time int64, src, dst netip.AddrPort, payload []byte) {
	s := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(s[0:], src.Port())
	binary.BigEndian.PutUint16(s[2:], dst.Port())
	binary.BigEndian.PutUint16(s[4:], uint16(8+len(payload)))
	c.add(time, src.Addr(), dst.Addr(), protoUDP, append(s, payload...), 6)
}

func (c *capture) tcp(time int64, src, dst netip.AddrPort, seq, ack uint32, flags byte, payload []byte) {
	s := make([]byte, 20, 24+len(payload))
	binary.BigEndian.PutUint16(s[0:], src.Port())
	binary.BigEndian.PutUint16(s[2:], dst.Port())
	binary.BigEndian.PutUint32(s[4:], seq)
	if flags&tcpACK != 0 {
		binary.BigEndian.PutUint32(s[8:], ack)
	}
	s[12], s[13] = 5<<4, flags
	binary.BigEndian.PutUint16(s[14:], 64240) // window
	if flags&tcpSYN != 0 {
		s[12] = 6 << 4
		s = append(s, 2, 4, segmentSize>>8, segmentSize&0xff) // maximum segment size
	}
	c.add(time, src.Addr(), dst.Addr(), protoTCP, append(s, payload...), 16)
}

// echo is an ICMP echo request, or the reply to one. IPv4 only.
func (c *capture) echo(time int64, src, dst netip.Addr, reply bool, id, seq uint16) {
	s := make([]byte, 8, 64)
	if !reply {
		s[0] = 8
	}
	binary.BigEndian.PutUint16(s[4:], id)
	binary.BigEndian.PutUint16(s[6:], seq)
	for i := 0; i < 56; i++ {
		s = append(s, byte(i))
	}
	c.add(time, src, dst, protoICMP, s, 2)
}

// write makes a pcap file of the packets in the order of time.
func (c *capture) write(path string) error {
	sort.SliceStable(c.packets, func(i, j int) bool { return c.packets[i].time < c.packets[j].time })

	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()

	w := bufio.NewWriter(f)
	header := []uint32{0xa1b2c3d4, 2 | 4<<16, 0, 0, 65535, 1 /* Ethernet */}
	binary.Write(w, binary.LittleEndian, header)
	for _, p := range c.packets {
		n := uint32(len(p.frame))
		binary.Write(w, binary.LittleEndian, []uint32{uint32(p.time / 1e6), uint32(p.time % 1e6), n, n})
		w.Write(p.frame)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// A stream is a TCP connection being made. Its clock is the time of its last
// packet.
type stream struct {
	capture        *capture
	client, server netip.AddrPort
	clientSeq      uint32
	serverSeq      uint32
	clock          int64
	roundTrip      int64 // microseconds
}

// What fits into an Ethernet frame after an IPv6 header.
const segmentSize = 1440

// open makes a stream with its handshake.
func (c *capture) open(clock int64, client, server netip.AddrPort, seq uint32, roundTrip int64) *stream {
	s := &stream{c, client, server, seq, seq*2654435761 + 12345, clock, roundTrip}
	c.tcp(s.clock, client, server, s.clientSeq, 0, tcpSYN, nil)
	s.clientSeq++
	s.clock += roundTrip
	c.tcp(s.clock, server, client, s.serverSeq, s.clientSeq, tcpSYN|tcpACK, nil)
	s.serverSeq++
	s.clock += roundTrip / 10
	c.tcp(s.clock, client, server, s.clientSeq, s.serverSeq, tcpACK, nil)
	return s
}

func (s *stream) wait(micros int64) { s.clock += micros }

// fromClient and fromServer send data; the other side acknowledges the last
// segment.
func (s *stream) fromClient(data []byte) {
	s.send(data, s.client, s.server, &s.clientSeq, &s.serverSeq)
}

func (s *stream) fromServer(data []byte) {
	s.send(data, s.server, s.client, &s.serverSeq, &s.clientSeq)
}

func (s *stream) send(data []byte, from, to netip.AddrPort, seq, ack *uint32) {
	s.clock += s.roundTrip / 2
	for len(data) > 0 {
		n := min(len(data), segmentSize)
		flags := byte(tcpACK)
		if n == len(data) {
			flags |= tcpPSH
		}
		s.capture.tcp(s.clock, from, to, *seq, *ack, flags, data[:n])
		*seq += uint32(n)
		data = data[n:]
		s.clock += 37
	}
	s.clock += s.roundTrip / 2
	s.capture.tcp(s.clock, to, from, *ack, *seq, tcpACK, nil)
}

// close ends the stream in both directions; the client begins.
func (s *stream) close() {
	s.clock += s.roundTrip / 2
	s.capture.tcp(s.clock, s.client, s.server, s.clientSeq, s.serverSeq, tcpFIN|tcpACK, nil)
	s.clientSeq++
	s.clock += s.roundTrip
	s.capture.tcp(s.clock, s.server, s.client, s.serverSeq, s.clientSeq, tcpFIN|tcpACK, nil)
	s.serverSeq++
	s.clock += s.roundTrip / 10
	s.capture.tcp(s.clock, s.client, s.server, s.clientSeq, s.serverSeq, tcpACK, nil)
}
