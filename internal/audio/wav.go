package audio

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"comfygo/engine/media"
)

// ErrUnknown means that a file is in no format that this package reads.
var ErrUnknown = errors.New("reading audio: the file is neither FLAC nor uncompressed WAV")

// Read decodes a FLAC or WAV file to a waveform [1,C,T]. It fails with ErrUnknown for other formats.
func Read(ctx context.Context, data []byte, charge Charge) (*media.Audio, error) {
	switch {
	case isFLAC(data):
		return readFLAC(ctx, data, charge)
	case isWAV(data):
		return ReadWAV(ctx, bytes.NewReader(data), charge)
	}
	return nil, ErrUnknown
}

func isWAV(data []byte) bool {
	return len(data) >= 12 && bytes.HasPrefix(data, []byte("RIFF")) && string(data[8:12]) == "WAVE"
}

// wavFormat is the "fmt " chunk.
type wavFormat struct {
	tag                   uint16
	channels, rate, depth int
}

// Format tags of WAV files.
const (
	wavPCM        = 1
	wavFloat      = 3
	wavExtensible = 0xfffe
)

// ReadWAV decodes a WAV file, or what ffmpeg writes to a pipe as one, with PCM or floating-point samples. The size that the header announces
// counts as far as the file goes: programs that write to a pipe announce none.
func ReadWAV(ctx context.Context, file io.Reader, charge Charge) (*media.Audio, error) {
	return ReadWAVUpTo(ctx, file, math.MaxInt64, charge)
}

// ReadWAVUpTo is ReadWAV for at most a number of samples of a channel; what follows them is not read.
func ReadWAVUpTo(ctx context.Context, file io.Reader, most int64, charge Charge) (*media.Audio, error) {
	r := bufio.NewReaderSize(file, 1<<16)
	f, size, err := wavHeader(r)
	if err != nil {
		return nil, err
	}
	convert := f.converter()
	if convert == nil {
		return nil, ErrUnknown
	}
	if err := checkFormat(f.channels, f.rate); err != nil {
		return nil, fmt.Errorf("reading the WAV header: %w", err)
	}
	frame := f.channels * f.depth / 8
	if most < math.MaxInt64/int64(frame) {
		size = min(size, most*int64(frame))
	}
	samples := io.LimitReader(r, size)
	c := Collector{Channels: f.channels, Charge: charge}
	const part = 1 << 12
	raw, values := make([]byte, part*frame), make([]float32, part*f.channels)
	for {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		n, err := io.ReadFull(samples, raw)
		got := n / frame * f.channels
		convert(values[:got], raw)
		if err := c.Add(values[:got]); err != nil {
			return nil, err
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading WAV: %w", err)
		}
	}
	if c.last == nil {
		return nil, ErrNoSamples
	}
	return &media.Audio{Waveform: c.Waveform(), SampleRate: f.rate}, nil
}

// ErrNoSamples means that a WAV file has no samples.
var ErrNoSamples = errors.New("reading WAV: the file has no samples")

// wavHeader reads up to the samples and returns their size in bytes.
func wavHeader(r *bufio.Reader) (f wavFormat, size int64, err error) {
	const riffSize, headerSize, formatSize, mostFormat = 12, 8, 16, 1 << 10
	if _, err := r.Discard(riffSize); err != nil {
		return f, 0, ErrNoSamples
	}
	found := false
	for {
		var header [headerSize]byte
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return f, 0, ErrNoSamples
		}
		n := int64(binary.LittleEndian.Uint32(header[4:]))
		switch string(header[:4]) {
		case "fmt ":
			body := make([]byte, min(n, mostFormat))
			if _, err := io.ReadFull(r, body); err != nil || n < formatSize {
				return f, 0, errors.New("reading the WAV header: the format is too short")
			}
			f, found = readFormat(body), true
			n -= int64(len(body))
		case "data":
			if !found {
				return f, 0, errors.New("reading the WAV header: samples stand before their format")
			}
			if n == 0 || n == math.MaxUint32 {
				n = math.MaxInt64
			}
			return f, n, nil
		}
		if _, err := io.CopyN(io.Discard, r, n+n&1); err != nil {
			return f, 0, ErrNoSamples
		}
	}
}

func readFormat(body []byte) wavFormat {
	f := wavFormat{
		tag:      binary.LittleEndian.Uint16(body),
		channels: int(binary.LittleEndian.Uint16(body[2:])),
		rate:     int(binary.LittleEndian.Uint32(body[4:])),
		depth:    int(binary.LittleEndian.Uint16(body[14:])),
	}
	const subformat = 24 // where the extensible format has its tag
	if f.tag == wavExtensible && len(body) >= subformat+2 {
		f.tag = binary.LittleEndian.Uint16(body[subformat:])
	}
	return f
}

// converter returns the function that converts samples to values with full scale at 1, or nil for formats that are not read here.
func (f wavFormat) converter() func(out []float32, in []byte) {
	switch {
	case f.tag == wavPCM && f.depth == 8:
		return func(out []float32, in []byte) {
			for i := range out {
				out[i] = float32(int(in[i])-128) / (1 << 7)
			}
		}
	case f.tag == wavPCM && f.depth == 16:
		return func(out []float32, in []byte) {
			for i := range out {
				out[i] = float32(int16(binary.LittleEndian.Uint16(in[2*i:]))) / (1 << 15)
			}
		}
	case f.tag == wavPCM && f.depth == 24:
		return func(out []float32, in []byte) {
			for i := range out {
				b := in[3*i : 3*i+3]
				out[i] = float32(int32(b[0])<<8|int32(b[1])<<16|int32(b[2])<<24) / (1 << 31)
			}
		}
	case f.tag == wavPCM && f.depth == 32:
		return func(out []float32, in []byte) {
			for i := range out {
				out[i] = float32(int32(binary.LittleEndian.Uint32(in[4*i:]))) / (1 << 31)
			}
		}
	case f.tag == wavFloat && f.depth == 32:
		return func(out []float32, in []byte) {
			for i := range out {
				out[i] = math.Float32frombits(binary.LittleEndian.Uint32(in[4*i:]))
			}
		}
	case f.tag == wavFloat && f.depth == 64:
		return func(out []float32, in []byte) {
			for i := range out {
				out[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(in[8*i:])))
			}
		}
	}
	return nil
}

// Native reports whether a file that begins with data is in a format that Read may know.
func Native(data []byte) bool { return isFLAC(data) || isWAV(data) }
