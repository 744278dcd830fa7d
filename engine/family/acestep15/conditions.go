package acestep15

import (
	"context"
	"errors"
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// known are the conditions of a call, which are the same in each step.
type known struct {
	// tokens [B,T,width] are attended to; beside [B,128,length] are additional channels of the latent: its source, and a mask of
	// ones.
	tokens, beside *tensor.Tensor
}

// encode runs the encoders of conditions. Upstream: AceStepConditionGenerationModel.prepare_condition.
func (m *model) encode(ctx context.Context, run family.Runner, in sampling.Inputs, length int) (known, error) {
	text, lyrics, voice := in.Get(sampling.InputContext), in.Get(inputLyrics), in.Get(inputVoice)
	tokens, err := m.encodeTokens(ctx, run, text, lyrics, voice)
	if err != nil {
		return known{}, err
	}
	if in.Get(inputNull) != nil {
		if err := m.nullify(run, tokens); err != nil {
			return known{}, err
		}
	}
	source := voice
	if given := in.Get(inputSource); given == nil || given.Data[0] != 0 {
		if source, err = m.hints(ctx, run, in.Get(inputCodes), voice); err != nil {
			return known{}, err
		}
	}
	rows := voice.Dim(0)
	beside := tensor.New(rows, 2*channels, length)
	for b := range rows {
		row := beside.Index(b).Data
		for i := copy(row, source.Index(b).Data); i < len(row); i++ {
			row[i] = 1
		}
	}
	return known{tokens, beside}, nil
}

// encodeTokens is the encoding of lyrics, timbre and text, one after the other, [B,T,width].
//
// The first row holds the timbre of all rows, the others are zero, as in upstream: all rows count as references of the first.
func (m *model) encodeTokens(ctx context.Context, run family.Runner, text, lyrics, voice *tensor.Tensor) (*tensor.Tensor, error) {
	symbols := map[string]int{"B": text.Dim(0), "T": text.Dim(1), "Y": lyrics.Dim(1), "L": voice.Dim(2)}
	if err := run.Check("encoding the conditions", m.activations.Of(m.conditionGraph(), symbols)); err != nil {
		return nil, err
	}
	values := []family.Value{family.Floats("context", text), family.Floats("lyrics", lyrics), family.Floats("voice", voice)}
	values = append(append(values, angles("lyric_", lyrics.Dim(1), m.lyric.head)...), angles("voice_", voice.Dim(2), m.timbre.head)...)
	out, err := run.Run(ctx, m.conditionGraph(), values, "lyrics_out", "timbre", "text_out")
	if err != nil {
		return nil, err
	}
	words, timbre, tags := out["lyrics_out"], out["timbre"], out["text_out"]
	rows := text.Dim(0)
	tokens := tensor.New(rows, words.Dim(1)+rows+tags.Dim(1), m.lyric.width)
	for b := range rows {
		row := tokens.Index(b).Data
		row = row[copy(row, words.Index(b).Data):]
		if b == 0 {
			copy(row, timbre.Data)
		}
		copy(row[len(timbre.Data):], tags.Index(b).Data)
	}
	return tokens, nil
}

// nullify replaces all tokens with the learned vector of a missing condition.
func (m *model) nullify(run family.Runner, tokens *tensor.Tensor) error {
	src, err := run.Patched(m.src)
	if err != nil {
		return err
	}
	s := weights.NewScope(src)
	r := s.Weight("null_condition_emb", 1, 1, m.lyric.width)
	if err := s.Err(); err != nil {
		return err
	}
	row, err := weights.Float32s(r.Entry)
	if err != nil {
		return err
	}
	for i := range tokens.Data {
		tokens.Data[i] = row[i%len(row)]
	}
	return nil
}

// levels are the numbers of steps of each dimension of a code, a finite scalar quantization; the first counts most often. noCode is the
// code of a moment that has none.
var levels = []int{8, 8, 8, 5, 5, 5}

const noCode = 35847

// hints returns the latents [B,64,length] of codes [B,N], or of the latent's own codes without them.
func (m *model) hints(ctx context.Context, run family.Runner, codes, voice *tensor.Tensor) (*tensor.Tensor, error) {
	length := voice.Dim(2)
	var points *tensor.Tensor
	var err error
	if codes != nil {
		points, err = pointsOf(codes, (length+pool-1)/pool)
	} else {
		points, err = m.quantized(ctx, run, voice)
	}
	if err != nil {
		return nil, err
	}
	rows, n := points.Dim(0), points.Dim(1)
	if rows != voice.Dim(0) {
		return nil, errors.New("the audio codes are not as many as there are rows")
	}
	if err := run.Check("decoding the audio codes", m.activations.Of(m.hintGraph(), map[string]int{"B": rows, "N": n})); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, m.hintGraph(), append([]family.Value{family.Floats("points", points)}, angles("", pool, m.codes.head)...), "out")
	if err != nil {
		return nil, err
	}
	y := out["out"] // [B,N·5,64]
	hints := tensor.New(rows, channels, length)
	for b := range rows {
		from, to := y.Index(b).Data, hints.Index(b).Data
		for i := range length {
			for c := range channels {
				to[c*length+i] = from[i*channels+c]
			}
		}
	}
	return hints, nil
}

// pointsOf are the points in -1…1 of codes [B,N], with noCode after them up to least of them, [B,n,6].
func pointsOf(codes *tensor.Tensor, least int) (*tensor.Tensor, error) {
	most := 1
	for _, l := range levels {
		most *= l
	}
	if len(codes.Shape) != 2 {
		return nil, fmt.Errorf("the audio codes have shape %v, wanted batch and codes", codes.Shape)
	}
	n := max(least, codes.Dim(1))
	out := tensor.New(codes.Dim(0), n, len(levels))
	for b := range codes.Dim(0) {
		row, given := out.Index(b).Data, codes.Index(b).Data
		for i := range n {
			code := noCode
			if i < len(given) {
				code = int(given[i])
			}
			if code < 0 || code >= most {
				return nil, fmt.Errorf("audio code %d is out of range: there are %d", code, most)
			}
			for k, l := range levels {
				row[i*len(levels)+k] = point(code%l, l)
				code /= l
			}
		}
	}
	return out, nil
}

// point returns the position in -1…1 of a step of a dimension with the given number of steps.
func point(step, steps int) float32 { return float32(step)*(2/float32(steps-1)) - 1 }

// quantized are the points of the codes of a latent [B,64,L], the rest of the last code being zero, [B,n,6].
func (m *model) quantized(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	rows, length := x.Dim(0), x.Dim(2)
	n := (length + pool - 1) / pool
	in := tensor.New(rows, n*pool, channels)
	for b := range rows {
		from, to := x.Index(b).Data, in.Index(b).Data
		for i := range length {
			for c := range channels {
				to[i*channels+c] = from[c*length+i]
			}
		}
	}
	if err := run.Check("reading the reference audio", m.activations.Of(m.codeGraph(), map[string]int{"B": rows, "N": n})); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, m.codeGraph(), append([]family.Value{family.Floats("latent", in)}, angles("", pool+1, m.pooler.head)...), "out")
	if err != nil {
		return nil, err
	}
	points := out["out"]
	for i, v := range points.Data {
		points.Data[i] = nearest(v, levels[i%len(levels)])
	}
	return points, nil
}

// nearest returns the point for a value in a dimension with the given number of steps (upstream: ResidualFSQ, FSQ.bound).
func nearest(v float32, steps int) float32 {
	most := float64(steps - 1)
	limit := float64(float32(1 + 1/most))
	soft := float32(math.Tanh(float64(v)/limit) * limit)
	step := math.Floor(float64(float32(most*(math.Tanh(float64(soft))+1)/2) + 0.5))
	return float32(2/most*step - 1)
}
