package sentencepiece

// segment is a part of the normalized text with its piece.
type segment struct {
	text string
	id   int32
}

// Encode implements tokenizer.Model: the ids of text, without start or end token. An unknown character becomes its bytes
// where the model has byte pieces; otherwise a run of them becomes one unknown piece.
func (p *Processor) Encode(text string) ([]int32, error) {
	normalized := p.normalize(text)
	var segments []segment
	if p.file.trainer.model == bpeModel {
		segments = p.mergePieces(normalized)
	} else {
		for _, s := range p.model.Segment(normalized) {
			segments = append(segments, segment{text: normalized[s.Start:s.End], id: s.ID})
		}
	}
	ids := make([]int32, 0, len(segments))
	afterUnknown := false
	for _, s := range segments {
		unknown := s.id == p.unknown
		switch {
		case unknown && p.file.trainer.byteFallback:
			for i := range len(s.text) {
				ids = append(ids, p.bytes[s.text[i]])
			}
		case !unknown || !afterUnknown:
			ids = append(ids, s.id)
		}
		afterUnknown = unknown
	}
	return ids, nil
}
