package hub

// JournalSize bounds each of a journal's files, but for one event.
const JournalSize = journalSize + 2<<20
