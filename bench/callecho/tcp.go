package callecho

import (
	"encoding/binary"
	"io"
	"net"
)

// serveTCP echoes without a protocol: a connection begins with two numbers of
// 16 bits, the sizes of what comes in and of what goes out for it.
func serveTCP(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go echoTCP(c)
	}
}

func echoTCP(c net.Conn) {
	defer c.Close()
	var sizes [4]byte
	if _, err := io.ReadFull(c, sizes[:]); err != nil {
		return
	}
	in, out := int(binary.BigEndian.Uint16(sizes[:])), int(binary.BigEndian.Uint16(sizes[2:]))
	buf := make([]byte, max(in, out))
	for {
		if _, err := io.ReadFull(c, buf[:in]); err != nil {
			return
		}
		if _, err := c.Write(buf[:out]); err != nil {
			return
		}
	}
}
