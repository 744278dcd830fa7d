package minimaxmusic

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
	"comfygo/engine/torchrand"
)

// The tokens that the model knows by their numbers.
const (
	tokenPad    = 151643
	tokenNone   = 151654 // stands for a prompt that is left out
	tokenEnd    = 151670 // ends a song
	firstToken  = 151675 // the first of the first codes
	mostTokens  = 5000   // of a prompt
	mostFrames  = 9000
	perSecond   = 25
	keptAtStart = 1
	keptAtEnd   = 2
)

// errNoFrames reports a song that ended at once.
var errNoFrames = errors.New("writing a song: the model ended it before its first frame: change the prompt or the seed")

// song is a song that is being written.
type song struct {
	*encoder
	run    family.Runner
	random *torchrand.Generator
	scale  float32
	top    int
	places []float32
}

// generate writes a song and returns the states of its frames [1,frames,8·width]. Upstream: MiniMaxMusic3AR.generate.
func (e *encoder) generate(ctx context.Context, run family.Runner, ids []int64, s Song, cached func(bytes int64)) (*tensor.Tensor, error) {
	if len(ids) > mostTokens {
		return nil, fmt.Errorf("writing a song: the prompt has %d tokens, %d are the most: shorten the caption or the lyrics", len(ids), mostTokens)
	}
	if len(ids) <= keptAtStart+keptAtEnd {
		return nil, errors.New("writing a song: the prompt has no tokens")
	}
	w := &song{encoder: e, run: run, random: torchrand.New(seedOf(s.Seed, "ar")), scale: float32(s.Guidance), top: s.Top}
	var err error
	if w.places, err = small(e.src, "model.audio_decoder.pos_embedding.weight", places*e.width); err != nil {
		return nil, err
	}
	away := slices.Clone(ids)
	for i := keptAtStart; i < len(away)-keptAtEnd; i++ {
		away[i] = tokenNone
	}
	embeds, err := vectors(e.src, e.table, ids, away)
	if err != nil {
		return nil, err
	}
	steps := e.net.Steps(run, 2, cached)
	out := &tensor.Tensor{}
	for i := 0; ; i++ {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		hidden, err := steps.Read(ctx, embeds)
		if err != nil {
			return nil, err
		}
		code, ended, err := w.first(ctx, hidden)
		if err != nil {
			return nil, err
		}
		if ended {
			break
		}
		states, next, err := w.frame(ctx, hidden, code)
		if err != nil {
			return nil, err
		}
		if i > 0 { // the first frame only begins the song
			out.Data = append(append(out.Data, hidden.Index(0).Data...), states...)
		}
		if s.Progress != nil && i > 0 {
			s.Progress(i, s.Frames)
		}
		if i >= min(s.Frames, mostFrames) {
			break
		}
		embeds = next
	}
	n := len(out.Data) / (codebooks * e.width)
	if n == 0 {
		return nil, errNoFrames
	}
	out.Shape = []int{1, n, codebooks * e.width}
	return out, nil
}

// first chooses the first code of a frame, or reports that the song ends.
func (w *song) first(ctx context.Context, hidden *tensor.Tensor) (code int, ended bool, err error) {
	e, _ := w.src.Lookup(w.head + ".weight")
	res, err := w.run.Run(ctx, w.headGraph(e.Shape[0]), []family.Value{family.Floats("x", hidden)}, "logits")
	if err != nil {
		return 0, false, fmt.Errorf("writing a song: %w", err)
	}
	with, without := res["logits"].Index(0).Data, res["logits"].Index(1).Data
	possible := func(i int) bool {
		return w.pruned.head || i == tokenEnd || i >= firstToken && i < firstToken+firstCodes
	}
	least := kth(with, w.top, possible)
	guided := make([]float32, len(with))
	for i, v := range with {
		guided[i] = float32(math.Inf(-1))
		if possible(i) && v >= least {
			guided[i] = without[i] + float32((v-without[i])*w.scale)
		}
	}
	chosen, err := w.choose(guided)
	if w.pruned.head {
		return chosen - 1, chosen == 0, err
	}
	return chosen - firstToken, chosen == tokenEnd, err
}

// kth is the k-th greatest of the values that count.
func kth(values []float32, k int, counts func(i int) bool) float32 {
	var list []float32
	for i, v := range values {
		if counts(i) {
			list = append(list, v)
		}
	}
	slices.Sort(list)
	return list[max(len(list)-k, 0)]
}

// choose draws one of the greatest logits. Upstream: sample_topk, torch.multinomial.
func (w *song) choose(logits []float32) (int, error) {
	least := kth(logits, w.top, func(int) bool { return true })
	most, sum := float32(math.Inf(-1)), float32(0)
	for _, v := range logits {
		if v != v || v > math.MaxFloat32 {
			return 0, errors.New("writing a song: the model's output holds values that are no finite numbers: the weights are damaged, or the precision is too low for them")
		}
		most = max(most, v)
	}
	if most < -math.MaxFloat32 {
		return 0, errors.New("writing a song: the model gives no code a probability")
	}
	p, wait := make([]float32, len(logits)), make([]float32, len(logits))
	for i, v := range logits {
		if v >= least && v >= -math.MaxFloat32 {
			p[i] = float32(math.Exp(float64(v - most)))
			sum += p[i]
		}
	}
	w.random.Exponential(wait)
	best, top := 0, float32(-1)
	for i, v := range p {
		if v = v / sum / wait[i]; v > top {
			best, top = i, v
		}
	}
	return best, nil
}

// frame writes the further codes of a frame and returns their states [7·width] and the vectors [2,1,width] of the whole frame. Upstream: _depth_codes,
// _embed_audio_frame.
func (w *song) frame(ctx context.Context, hidden *tensor.Tensor, code int) (states []float32, next *tensor.Tensor, err error) {
	table, at := w.table, int64(code+firstToken)
	if w.pruned.table {
		table, at = "model.embed_tokens_audio.weight", int64(code)
	}
	own, err := vectors(w.src, table, []int64{at})
	if err != nil {
		return nil, nil, err
	}
	next = tensor.New(2, 1, w.width)
	rows := [2][]float32{slices.Clone(hidden.Index(0).Data), slices.Clone(hidden.Index(1).Data)}
	for r := range rows {
		rows[r] = append(rows[r], own.Data...)
		copy(next.Index(r).Data, own.Data)
	}
	extra := make([]float32, w.width)
	for i := range codebooks - 1 {
		n := i + 2
		in := []family.Value{
			family.Floats("x", &tensor.Tensor{Shape: []int{2, n, w.width}, Data: append(slices.Clone(rows[0]), rows[1]...)}),
			family.Floats("places", &tensor.Tensor{Shape: []int{1, n, w.width}, Data: w.places[:n*w.width]}),
		}
		res, err := w.run.Run(ctx, w.depthGraph(), in, "state", "logits")
		if err != nil {
			return nil, nil, fmt.Errorf("writing a song: %w", err)
		}
		states = append(states, res["state"].Index(0).Data...)
		logits := make([]float32, furtherCodes)
		for k := range logits {
			v, away := res["logits"].Index(0).Data[i*furtherCodes+k], res["logits"].Index(1).Data[i*furtherCodes+k]
			logits[k] = away + float32((v-away)*w.scale)
		}
		chosen, err := w.choose(logits)
		if err != nil {
			return nil, nil, err
		}
		v, err := vectors(w.src, "model.audio_extra_embedding.weight", []int64{int64(chosen + i*furtherCodes)})
		if err != nil {
			return nil, nil, err
		}
		for r := range rows {
			rows[r] = append(rows[r], v.Data...)
		}
		for k, x := range v.Data {
			extra[k] += x
		}
	}
	root := float32(math.Sqrt(1.0 / codebooks))
	for r := range rows {
		to := next.Index(r).Data
		for k := range to {
			to[k] = (to[k] + extra[k]) * root
		}
	}
	return states, next, nil
}

// ids are the tokens of a prompt of one chunk.
func ids(tokens tokenizer.Tokens) ([]int64, error) {
	if len(tokens) != 1 {
		return nil, fmt.Errorf("writing a song: the prompt has %d chunks of tokens, wanted one", len(tokens))
	}
	out := make([]int64, len(tokens[0]))
	for i, t := range tokens[0] {
		out[i] = int64(t.ID)
	}
	return out, nil
}

// seedOf derives the seed of a generator: the BLAKE2b digest of 8 bytes of the seed and a name, with a personalisation. Upstream: derive_seed.
func seedOf(seed uint64, name string) uint64 {
	var message []byte
	message = binary.LittleEndian.AppendUint64(message, seed)
	message = binary.LittleEndian.AppendUint32(message, uint32(len(name))) //nolint:gosec // a short name
	message = append(message, name...)
	return personalDigest(message, "minimax-ttm") & math.MaxInt64
}
