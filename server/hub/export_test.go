package hub

// Missed are the events that a client of an owner gets when it comes back after all of them.
func Missed(h *Hub, owner, id string) (texts []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	frames, _ := h.log.missed(address{owner, id}, 0)
	for _, f := range frames {
		texts = append(texts, string(f.data))
	}
	return texts
}

// JournalSize bounds each of a journal's files, but for one event.
const JournalSize = journalSize + 2<<20
