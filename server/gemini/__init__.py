"""The pivot: Gemini's own ``generateContent`` JSON, and what can be known of it without I/O."""
