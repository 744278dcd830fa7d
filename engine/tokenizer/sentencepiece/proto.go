package sentencepiece

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// modelFile is the part of sentencepiece_model.proto's ModelProto that encoding needs.
type modelFile struct {
	pieces     []piece
	trainer    trainerSpec
	normalizer normalizerSpec
}

type piece struct {
	text  string
	score float32
	kind  pieceKind
}

type pieceKind uint64

// The piece types of the proto.
const (
	normalPiece  pieceKind = 1
	unknownPiece pieceKind = 2
	userPiece    pieceKind = 4
	unusedPiece  pieceKind = 5
	bytePiece    pieceKind = 6
)

type trainerSpec struct {
	model            uint64
	spacesAsSuffix   bool
	byteFallback     bool
	bos, eos, padded int32
}

// The model types of the proto.
const (
	unigramModel = 1
	bpeModel     = 2
)

type normalizerSpec struct {
	charsmap                               []byte
	dummyPrefix, removeSpaces, escapeSpace bool
}

// readModel decodes a ModelProto. Fields that the file leaves out have the proto's defaults.
func readModel(data []byte) (modelFile, error) {
	m := modelFile{
		trainer:    trainerSpec{model: unigramModel, bos: 1, eos: 2, padded: -1},
		normalizer: normalizerSpec{dummyPrefix: true, removeSpaces: true, escapeSpace: true},
	}
	err := fields(data, func(num protowire.Number, v value) error {
		switch num {
		case 1:
			p, err := readPiece(v.bytes)
			m.pieces = append(m.pieces, p)
			return err
		case 2:
			return readTrainer(v.bytes, &m.trainer)
		case 3:
			return readNormalizer(v.bytes, &m.normalizer)
		}
		return nil
	})
	if err == nil && len(m.pieces) == 0 {
		err = errors.New("it holds no pieces")
	}
	return m, err
}

func readPiece(data []byte) (piece, error) {
	p := piece{kind: normalPiece}
	err := fields(data, func(num protowire.Number, v value) error {
		switch num {
		case 1:
			p.text = string(v.bytes)
		case 2:
			p.score = math.Float32frombits(uint32(v.number))
			if math.IsNaN(float64(p.score)) {
				return fmt.Errorf("the score of piece %q is not a number", p.text)
			}
		case 3:
			p.kind = pieceKind(v.number)
		}
		return nil
	})
	return p, err
}

func readTrainer(data []byte, t *trainerSpec) error {
	return fields(data, func(num protowire.Number, v value) error {
		switch num {
		case 3:
			t.model = v.number
		case 24:
			t.spacesAsSuffix = v.number != 0
		case 35:
			t.byteFallback = v.number != 0
		case 41:
			t.bos = int32(v.number)
		case 42:
			t.eos = int32(v.number)
		case 43:
			t.padded = int32(v.number)
		}
		return nil
	})
}

func readNormalizer(data []byte, n *normalizerSpec) error {
	return fields(data, func(num protowire.Number, v value) error {
		switch num {
		case 2:
			n.charsmap = v.bytes
		case 3:
			n.dummyPrefix = v.number != 0
		case 4:
			n.removeSpaces = v.number != 0
		case 5:
			n.escapeSpace = v.number != 0
		}
		return nil
	})
}

// value is a field's content: a number or bytes.
type value struct {
	number uint64
	bytes  []byte
}

// fields calls visit with each field of a message.
func fields(data []byte, visit func(protowire.Number, value) error) error {
	for len(data) > 0 {
		num, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		var v value
		switch kind {
		case protowire.VarintType:
			v.number, n = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var bits uint32
			bits, n = protowire.ConsumeFixed32(data)
			v.number = uint64(bits)
		case protowire.BytesType:
			v.bytes, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(num, kind, data)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if err := visit(num, v); err != nil {
			return err
		}
	}
	return nil
}
