package main

import (
	"fmt"
	"os"
)

func main() {
	all := &capture{}
	for i := 1; i <= 2; i++ {
		t := newTraffic(i)
		if err := t.write(fmt.Sprintf("%s/worker-%d.pcap", os.Args[1], i)); err != nil {
			panic(err)
		}
		all.packets = append(all.packets, t.packets...)
	}
	all.write(os.Args[1] + "/all.pcap")
	fmt.Println(len(all.packets))
}
