package pyhost

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"comfygo/internal/pyjson"
)

// frame is a message with the length that it says it has.
func frame(length uint32, text string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, length), text...)
}

func TestReceive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		data  []byte
		want  string // the message
		fails string // part of the error
	}{
		{"a message", frame(8, `{"a": 1}`), `{"a": 1}`, ""},
		{"numbers of Python", frame(18, `{"a": [NaN, -1e9]}`), `{"a": [NaN, -1000000000.0]}`, ""},
		{"nothing", nil, "", "EOF"},
		{"half a length", []byte{0, 0}, "", "unexpected EOF"},
		{"half a message", frame(100, `{"a": 1}`), "", "unexpected EOF"},
		{"a length over the limit", frame(longest+1, "{}"), "", "over the limit"},
		{"the largest length", frame(1<<32-1, ""), "", "over the limit"},
		{"a length that nothing follows", frame(longest, "{}"), "", "unexpected EOF"},
		{"an empty message", frame(0, ""), "", "reading a message"},
		{"no object", frame(2, "[]"), "", "reading a message"},
		{"no JSON", frame(5, `{"a":`), "", "reading a message"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m, err := receive(bytes.NewReader(c.data))
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("the error is %v, want one with %q", err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if text, err := pyjson.Marshal(m); err != nil || string(text) != c.want {
				t.Errorf("the message is %s, %v; want %s", text, err, c.want)
			}
		})
	}
}

// FuzzReceive reads what a broken host may send: an error or a message, and never more of the input than the frame has.
func FuzzReceive(f *testing.F) {
	for _, data := range [][]byte{frame(8, `{"a": 1}`), frame(2, "{}rest"), frame(longest, "{"), {255, 255, 255, 255}, frame(12, strings.Repeat("[", 12)), nil} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		m, err := receive(r)
		if err == nil && m == nil {
			t.Fatal("neither a message nor an error")
		}
		if len(data) < 4 {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("the error is %v", err)
			}
			return
		}
		n := int64(binary.BigEndian.Uint32(data))
		if read := int64(len(data) - r.Len()); n <= longest && read > 4+n {
			t.Fatalf("%d bytes were read of a frame of %d", read, 4+n)
		}
	})
}
