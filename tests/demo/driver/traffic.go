// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand"
	"net/netip"
	"strings"
	"time"
)

// The traffic of one network for ten minutes: what its clients do with servers
// elsewhere. Everything is made up, from the addresses that are kept for
// documentation to the last checksum, and the same on every run.
type traffic struct {
	capture
	r       *rand.Rand
	network int // the third octet of the clients' addresses
	port    uint16
}

const trafficSeconds = 600

var trafficStart = time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC).UnixMicro()

// newTraffic makes the traffic of the clients in 10.20.<network>.0/24 and
// 2001:db8:<network>::/48.
func newTraffic(network int) *traffic {
	t := &traffic{r: rand.New(rand.NewSource(int64(network))), network: network, port: 20000}
	for _, p := range []struct {
		conversation func()
		n            int
	}{
		{t.http, 420}, {t.dns, 800}, {t.smtp, 90}, {t.ftp, 50}, {t.ssh, 30}, {t.tls, 200},
		{t.ntp, 60}, {t.irc, 30}, {t.ping, 40}, {t.refused, 60}, {t.unanswered, 60},
	} {
		for i := 0; i < p.n; i++ {
			p.conversation()
		}
	}
	return t
}

// ---- Who talks when ----

func (t *traffic) when() int64 { return trafficStart + t.r.Int63n(trafficSeconds*1e6) }

func (t *traffic) roundTrip() int64 { return 2000 + t.r.Int63n(40000) }

func (t *traffic) client(v6 bool) netip.AddrPort {
	t.port++
	host := 10 + t.r.Intn(40)
	if v6 {
		return netip.MustParseAddrPort(fmt.Sprintf("[2001:db8:%x::%x]:%d", t.network, host, t.port))
	}
	return netip.MustParseAddrPort(fmt.Sprintf("10.20.%d.%d:%d", t.network, host, t.port))
}

// server gives a host an address: always the same one for the same number.
func (t *traffic) server(number int, port uint16, v6 bool) netip.AddrPort {
	if v6 {
		return netip.MustParseAddrPort(fmt.Sprintf("[2001:db8:ffff::%x]:%d", number+1, port))
	}
	net := "198.51.100"
	if number%2 == 1 {
		net = "203.0.113"
	}
	return netip.MustParseAddrPort(fmt.Sprintf("%s.%d:%d", net, number+1, port))
}

// connect opens a stream to a server on IPv4, or one time in four on IPv6.
func (t *traffic) connect(server int, port uint16) *stream {
	return t.connectOver(t.r.Intn(4) == 0, server, port)
}

func (t *traffic) connectOver(v6 bool, server int, port uint16) *stream {
	return t.open(t.when(), t.client(v6), t.server(server, port, v6), t.r.Uint32(), t.roundTrip())
}

func pick[T any](t *traffic, from ...T) T { return from[t.r.Intn(len(from))] }

func (t *traffic) random(n int) []byte {
	b := make([]byte, n)
	t.r.Read(b)
	return b
}

var words = strings.Fields(`amber bridge canyon delta ember falcon garden harbor island juniper kernel lantern
	meadow nectar orchid pebble quartz river summit timber umbra valley willow yonder zephyr`)

func (t *traffic) word() string { return pick(t, words...) }

func (t *traffic) text(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(t.word())
		if t.r.Intn(9) == 0 {
			b.WriteString(".\n")
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// Second-level names kept for documentation.
var domains = []string{"example.com", "example.net", "example.org"}

// site is the name of the host with a number below 60.
func site(number int) string { return fmt.Sprintf("%s.%s", words[number%20], domains[number/20]) }

// ---- Files, as they are sent by HTTP, SMTP and FTP ----

type file struct {
	name, mime string
	body       []byte
}

func (t *traffic) file() file {
	name, n := t.word()+"-"+t.word(), 200+t.r.Intn(7000)
	switch t.r.Intn(7) {
	case 0:
		return file{name + ".html", "text/html", []byte("<!DOCTYPE html>\n<html><head><title>" + t.word() +
			"</title></head>\n<body><p>" + t.text(n) + "</p></body></html>\n")}
	case 1:
		return file{name + ".json", "application/json",
			[]byte(fmt.Sprintf("{\"name\": %q, \"value\": %d, \"list\": [1, 2, 3]}\n", t.text(n/8), t.r.Intn(1000)))}
	case 2:
		return file{name + ".png", "image/png",
			append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x40\x00\x00\x00\x40\x08\x02\x00\x00\x00"), t.random(n)...)}
	case 3:
		return file{name + ".gif", "image/gif", append([]byte("GIF89a\x40\x00\x40\x00\x80\x00\x00"), t.random(n)...)}
	case 4:
		return file{name + ".pdf", "application/pdf", []byte("%PDF-1.4\n" + t.text(n) + "\n%%EOF\n")}
	case 5:
		return file{name + ".gz", "application/gzip", append([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"), t.random(n)...)}
	default:
		return file{name + ".txt", "text/plain", []byte(t.text(n))}
	}
}

// ---- HTTP ----

func (t *traffic) http() {
	server := t.r.Intn(60)
	s := t.connect(server, pick[uint16](t, 80, 80, 80, 8080))
	agent := pick(t, "demo-browser/4.2 (X11; Linux x86_64)", "demo-fetch/1.9", "demo-updater/0.3")

	for i := t.r.Intn(4); i >= 0; i-- {
		f := t.file()
		method, status := "GET", pick(t, "200 OK", "200 OK", "200 OK", "200 OK", "404 Not Found", "304 Not Modified",
			"301 Moved Permanently", "500 Internal Server Error")
		posted := ""
		switch t.r.Intn(8) {
		case 0:
			method, status = "POST", "201 Created"
			posted = fmt.Sprintf("user=%s&comment=%s&id=%d", t.word(), t.word(), t.r.Intn(1e6))
		case 1:
			method = "HEAD"
		}

		q := fmt.Sprintf("%s /%s/%s?id=%d HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nAccept: */*\r\n", method, t.word(), f.name,
			t.r.Intn(1e5), site(server), agent)
		if t.r.Intn(3) == 0 {
			q += "Referer: http://" + site(t.r.Intn(60)) + "/" + t.word() + "\r\n"
		}
		if posted != "" {
			q += fmt.Sprintf("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n", len(posted))
		}
		s.fromClient([]byte(q + "\r\n" + posted))
		s.wait(t.r.Int63n(30000))

		a := fmt.Sprintf("HTTP/1.1 %s\r\nServer: demo-httpd/2.1\r\n", status)
		switch {
		case strings.HasPrefix(status, "304"):
			s.fromServer([]byte(a + "\r\n"))
		case method == "GET" && t.r.Intn(5) == 0:
			a += "Content-Type: " + f.mime + "\r\nTransfer-Encoding: chunked\r\n\r\n"
			half := len(f.body) / 2
			s.fromServer([]byte(fmt.Sprintf("%s%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", a, half, f.body[:half], len(f.body)-half,
				f.body[half:])))
		default:
			a += fmt.Sprintf("Content-Type: %s\r\nContent-Length: %d\r\n\r\n", f.mime, len(f.body))
			if method != "HEAD" {
				a += string(f.body)
			}
			s.fromServer([]byte(a))
		}
		s.wait(t.r.Int63n(400000))
	}
	s.close()
}

// ---- DNS ----

func dnsName(name string) []byte {
	var b []byte
	for _, label := range strings.Split(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0)
}

func (t *traffic) dns() {
	v6 := t.r.Intn(5) == 0
	client, server := t.client(v6), t.server(t.r.Intn(2), 53, v6)
	number := t.r.Intn(60)
	name := site(number)

	const a, cname, ptr, mx, txt, aaaa = 1, 5, 12, 15, 16, 28
	kind := pick[uint16](t, a, a, a, aaaa, aaaa, mx, txt, ptr, cname)
	var data []byte
	switch kind {
	case a:
		data = t.server(number, 0, false).Addr().AsSlice()
	case aaaa:
		data = t.server(number, 0, true).Addr().AsSlice()
	case mx:
		name = domains[number/20]
		data = append([]byte{0, 10}, dnsName("mail."+name)...)
	case txt:
		text := "v=spf1 include:" + name + " -all"
		data = append([]byte{byte(len(text))}, text...)
	case ptr:
		data = dnsName(name)
		b := t.server(number, 0, false).Addr().As4()
		name = fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", b[3], b[2], b[1], b[0])
	case cname:
		data = dnsName("edge-" + t.word() + ".example.net")
	}

	var flags uint16 = 0x8180 // an answer, recursion desired and available
	answers := [][]byte{data}
	if t.r.Intn(8) == 0 {
		flags |= 3 // no such name
		answers = nil
		name = t.word() + "-" + t.word() + "." + name
	}

	id := uint16(t.r.Uint32())
	message := func(flags uint16, answers [][]byte) []byte {
		m := binary.BigEndian.AppendUint16(nil, id)
		for _, v := range []uint16{flags, 1, uint16(len(answers)), 0, 0} {
			m = binary.BigEndian.AppendUint16(m, v)
		}
		m = append(m, dnsName(name)...)
		m = binary.BigEndian.AppendUint16(m, kind)
		m = binary.BigEndian.AppendUint16(m, 1)
		for _, data := range answers {
			m = append(m, 0xc0, 12) // the name in the question
			m = binary.BigEndian.AppendUint16(m, kind)
			m = binary.BigEndian.AppendUint16(m, 1)
			m = binary.BigEndian.AppendUint32(m, uint32(60*(1+number)))
			m = binary.BigEndian.AppendUint16(m, uint16(len(data)))
			m = append(m, data...)
		}
		return m
	}

	at := t.when()
	t.udp(at, client, server, message(0x0100, nil))
	if t.r.Intn(25) > 0 {
		t.udp(at+t.roundTrip(), server, client, message(flags, answers))
	}
}

// ---- Mail ----

func (t *traffic) smtp() {
	server := t.r.Intn(60)
	s := t.connect(server, pick[uint16](t, 25, 25, 587))
	from := t.word() + "@" + pick(t, domains...)
	to := t.word() + "@" + pick(t, domains...)
	f := t.file()
	if len(f.body) > 2500 {
		f.body = f.body[:2500]
	}

	var m bytes.Buffer
	fmt.Fprintf(&m, "Date: Mon, 02 Mar 2026 09:%02d:%02d +0000\r\nFrom: %s\r\nTo: %s\r\nSubject: %s %s\r\n",
		30+t.r.Intn(10), t.r.Intn(60), from, to, t.word(), t.word())
	fmt.Fprintf(&m, "Message-ID: <%d.%s>\r\nUser-Agent: demo-mail/3.0\r\nMIME-Version: 1.0\r\n", t.r.Int63(), from)
	fmt.Fprintf(&m, "Content-Type: multipart/mixed; boundary=\"demo-boundary\"\r\n\r\n")
	fmt.Fprintf(&m, "--demo-boundary\r\nContent-Type: text/plain\r\n\r\n%s\r\n",
		strings.ReplaceAll(t.text(300), "\n", "\r\n"))
	fmt.Fprintf(&m, "--demo-boundary\r\nContent-Type: %s\r\nContent-Transfer-Encoding: base64\r\n", f.mime)
	fmt.Fprintf(&m, "Content-Disposition: attachment; filename=\"%s\"\r\n\r\n", f.name)
	for b := base64.StdEncoding.EncodeToString(f.body); b != ""; {
		n := min(76, len(b))
		m.WriteString(b[:n] + "\r\n")
		b = b[n:]
	}
	m.WriteString("--demo-boundary--\r\n.\r\n")

	s.fromServer([]byte("220 mail." + site(server) + " ESMTP demo-mta\r\n"))
	for _, step := range [][2]string{
		{"EHLO client." + t.word() + ".example.org\r\n", "250-mail." + site(server) + "\r\n250-PIPELINING\r\n250 8BITMIME\r\n"},
		{"MAIL FROM:<" + from + ">\r\n", "250 2.1.0 Ok\r\n"},
		{"RCPT TO:<" + to + ">\r\n", pick(t, "250 2.1.5 Ok\r\n", "250 2.1.5 Ok\r\n", "250 2.1.5 Recipient fine\r\n")},
		{"DATA\r\n", "354 End data with <CR><LF>.<CR><LF>\r\n"},
		{m.String(), fmt.Sprintf("250 2.0.0 Ok: queued as %X\r\n", t.r.Uint32())},
		{"QUIT\r\n", "221 2.0.0 Bye\r\n"},
	} {
		s.fromClient([]byte(step[0]))
		s.fromServer([]byte(step[1]))
	}
	s.close()
}

// ---- FTP ----

func (t *traffic) ftp() {
	server := t.r.Intn(60)
	v6 := t.r.Intn(3) == 0
	s := t.connectOver(v6, server, 21)
	say := func(command, reply string) {
		s.fromClient([]byte(command + "\r\n"))
		s.fromServer([]byte(reply + "\r\n"))
	}

	s.fromServer([]byte("220 demo-ftpd ready\r\n"))
	say("USER "+pick(t, "anonymous", "anonymous", "ftp", t.word()), "331 Password please")
	say("PASS "+t.word()+"@example.com", "230 Logged in")
	say("TYPE I", "200 Type is I")

	for i := t.r.Intn(3); i >= 0; i-- {
		f := t.file()
		t.port++
		source := netip.AddrPortFrom(s.client.Addr(), t.port)
		sink := netip.AddrPortFrom(s.server.Addr(), 40000+uint16(t.r.Intn(20000)))
		if v6 {
			say("EPSV", fmt.Sprintf("229 Entering Extended Passive Mode (|||%d|)", sink.Port()))
		} else {
			say("PASV", fmt.Sprintf("227 Entering Passive Mode (%s,%d,%d)",
				strings.ReplaceAll(sink.Addr().String(), ".", ","), sink.Port()>>8, sink.Port()&0xff))
		}

		store := t.r.Intn(4) == 0
		if store {
			s.fromClient([]byte("STOR /incoming/" + f.name + "\r\n"))
		} else {
			s.fromClient([]byte("RETR /pub/" + f.name + "\r\n"))
		}
		d := t.open(s.clock+1000, source, sink, t.r.Uint32(), s.roundTrip)
		s.wait(2 * s.roundTrip)
		s.fromServer([]byte(fmt.Sprintf("150 Opening data connection for %s (%d bytes)\r\n", f.name, len(f.body))))
		d.clock = s.clock
		if store {
			d.fromClient(f.body)
		} else {
			d.fromServer(f.body)
		}
		d.close()
		s.clock = d.clock + 1000
		s.fromServer([]byte("226 Transfer complete\r\n"))
	}
	say("QUIT", "221 Goodbye")
	s.close()
}

// ---- SSH ----

func sshString(s string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...)
}

// sshPacket frames a message before encryption is on.
func (t *traffic) sshPacket(message []byte) []byte {
	padding := 8 - (5+len(message))%8
	if padding < 4 {
		padding += 8
	}
	p := binary.BigEndian.AppendUint32(nil, uint32(1+len(message)+padding))
	return append(append(append(p, byte(padding)), message...), t.random(padding)...)
}

func (t *traffic) ssh() {
	s := t.connect(t.r.Intn(60), 22)
	s.fromServer([]byte("SSH-2.0-demo_sshd_" + pick(t, "1.0", "1.1", "2.0") + "\r\n"))
	s.fromClient([]byte("SSH-2.0-demo_ssh_" + pick(t, "0.9", "1.4") + "\r\n"))

	proposal := func(cipher string) []byte {
		m := append([]byte{20}, t.random(16)...)
		for _, list := range []string{"curve25519-sha256", "ssh-ed25519", cipher, cipher, "hmac-sha2-256", "hmac-sha2-256",
			"none", "none", "", ""} {
			m = append(m, sshString(list)...)
		}
		return t.sshPacket(append(m, 0, 0, 0, 0, 0))
	}
	s.fromClient(proposal("aes128-ctr,aes256-ctr"))
	s.fromServer(proposal("aes128-ctr"))

	s.fromClient(t.sshPacket(append([]byte{30}, sshString(string(t.random(32)))...)))
	key := append(sshString("ssh-ed25519"), sshString(string(t.random(32)))...)
	signature := append(sshString("ssh-ed25519"), sshString(string(t.random(64)))...)
	reply := append([]byte{31}, sshString(string(key))...)
	reply = append(append(reply, sshString(string(t.random(32)))...), sshString(string(signature))...)
	newKeys := t.sshPacket([]byte{21})
	s.fromServer(append(t.sshPacket(reply), newKeys...))
	s.fromClient(newKeys)

	for i := 5 + t.r.Intn(10); i > 0; i-- { // encrypted from here on
		s.fromClient(t.random(36 + 16*t.r.Intn(4)))
		s.fromServer(t.random(36 + 16*t.r.Intn(40)))
		s.wait(t.r.Int63n(200000))
	}
	s.close()
}

// ---- TLS 1.3 ----

func tlsRecord(kind byte, body []byte) []byte {
	r := []byte{kind, 3, 3}
	return append(binary.BigEndian.AppendUint16(r, uint16(len(body))), body...)
}

func tlsHandshake(kind byte, body []byte) []byte {
	return tlsRecord(22, append([]byte{kind, 0, byte(len(body) >> 8), byte(len(body))}, body...))
}

func tlsVector16(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

func tlsExtension(number uint16, body []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, number), tlsVector16(body)...)
}

func (t *traffic) tls() {
	const serverName, groups, alpn, signatures, versions, keyShare = 0, 10, 16, 13, 43, 51
	server := t.r.Intn(60)
	s := t.connect(server, pick[uint16](t, 443, 443, 8443))
	session := append([]byte{32}, t.random(32)...)
	share := append([]byte{0, 29}, tlsVector16(t.random(32))...) // x25519

	name := append([]byte{0}, tlsVector16([]byte(site(server)))...)
	var ext []byte
	ext = append(ext, tlsExtension(serverName, tlsVector16(name))...)
	ext = append(ext, tlsExtension(groups, tlsVector16([]byte{0, 29, 0, 23}))...)
	ext = append(ext, tlsExtension(alpn, tlsVector16([]byte("\x02h2\x08http/1.1")))...)
	ext = append(ext, tlsExtension(signatures, tlsVector16([]byte{4, 3, 8, 4}))...)
	ext = append(ext, tlsExtension(versions, []byte{2, 3, 4})...)
	ext = append(ext, tlsExtension(keyShare, tlsVector16(share))...)
	hello := append([]byte{3, 3}, t.random(32)...)
	hello = append(append(hello, session...), tlsVector16([]byte{0x13, 0x01, 0x13, 0x02, 0x13, 0x03})...)
	hello = append(append(hello, 1, 0), tlsVector16(ext)...)
	s.fromClient(tlsHandshake(1, hello))

	ext = append(tlsExtension(versions, []byte{3, 4}), tlsExtension(keyShare, share)...)
	answer := append([]byte{3, 3}, t.random(32)...)
	answer = append(append(answer, session...), 0x13, byte(1+t.r.Intn(3)), 0)
	answer = append(answer, tlsVector16(ext)...)
	changed := tlsRecord(20, []byte{1})
	flight := append(tlsHandshake(2, answer), changed...)
	s.fromServer(append(flight, tlsRecord(23, t.random(900+t.r.Intn(2000)))...))
	s.fromClient(append(changed, tlsRecord(23, t.random(53))...))

	for i := t.r.Intn(4); i >= 0; i-- {
		s.fromClient(tlsRecord(23, t.random(100+t.r.Intn(300))))
		s.fromServer(tlsRecord(23, t.random(200+t.r.Intn(5000))))
	}
	s.close()
}

// ---- The rest ----

func (t *traffic) ntp() {
	client, server := t.client(false), t.server(t.r.Intn(4), 123, false)
	at, trip := t.when(), t.roundTrip()
	stamp := func(b []byte, micros int64) {
		const from1900 = 2208988800
		binary.BigEndian.PutUint32(b, uint32(micros/1e6+from1900))
		binary.BigEndian.PutUint32(b[4:], uint32(micros%1e6*4294))
	}
	q := make([]byte, 48)
	q[0], q[2], q[3] = 4<<3|3, 6, 0xe9 // version 4, client
	stamp(q[40:], at)
	t.udp(at, client, server, q)

	a := make([]byte, 48)
	a[0], a[1], a[2], a[3] = 4<<3|4, 2, 6, 0xe9 // server, stratum 2
	copy(a[12:], []byte{192, 0, 2, 1})
	stamp(a[16:], at-30e6)
	stamp(a[24:], at)
	stamp(a[32:], at+trip/2)
	stamp(a[40:], at+trip/2+20)
	t.udp(at+trip, server, client, a)
}

func (t *traffic) irc() {
	server := t.r.Intn(60)
	s := t.connect(server, 6667)
	nick, channel := t.word()+fmt.Sprint(t.r.Intn(100)), "#"+t.word()
	say := func(command, reply string) {
		s.fromClient([]byte(command + "\r\n"))
		if reply != "" {
			s.fromServer([]byte(":irc." + site(server) + " " + reply + "\r\n"))
		}
		s.wait(t.r.Int63n(900000))
	}
	say("NICK "+nick, "")
	say("USER "+nick+" 0 * :"+t.word(), "001 "+nick+" :Welcome")
	say("JOIN "+channel, "366 "+nick+" "+channel+" :End of NAMES list")
	for i := t.r.Intn(4); i > 0; i-- {
		say("PRIVMSG "+channel+" :"+t.word()+" "+t.word(), "")
	}
	say("QUIT :bye", "")
	s.close()
}

func (t *traffic) ping() {
	client, server := t.client(false), t.server(t.r.Intn(60), 0, false)
	at, trip, id := t.when(), t.roundTrip(), uint16(t.r.Uint32())
	for i := uint16(1); i <= 3; i++ {
		t.echo(at, client.Addr(), server.Addr(), false, id, i)
		t.echo(at+trip, server.Addr(), client.Addr(), true, id, i)
		at += 1e6
	}
}

func (t *traffic) refused() {
	client, server := t.client(false), t.server(t.r.Intn(60), uint16(1+t.r.Intn(1000)), false)
	at, seq := t.when(), t.r.Uint32()
	t.tcp(at, client, server, seq, 0, tcpSYN, nil)
	t.tcp(at+t.roundTrip(), server, client, 0, seq+1, tcpRST|tcpACK, nil)
}

func (t *traffic) unanswered() {
	client, server := t.client(false), t.server(t.r.Intn(60), uint16(1+t.r.Intn(1000)), false)
	t.tcp(t.when(), client, server, t.r.Uint32(), 0, tcpSYN, nil)
}
