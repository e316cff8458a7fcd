"""Exceptions in words, bounded whatever a script raises."""

import traceback

LONGEST_MESSAGE = 2000
LONGEST_TRACEBACK = 16384
# At each end of a traceback, and exceptions that led to one another.
MOST_FRAMES = 25
MOST_CAUSES = 4


def message_of(error):
    """What Python would print after the name of the exception, or the name where that says nothing."""
    if isinstance(error, SystemExit):
        return "the script called sys.exit(%s)" % ("" if error.code is None else cut(repr(error.code)))
    try:
        text = str(error)
    except Exception:
        text = ""
    if not text:
        return type(error).__name__
    # `KeyError: 'x'` says more than `'x'`.
    return cut("KeyError: %s" % text if isinstance(error, KeyError) else text)


def traceback_of(error):
    """As Python prints it, without the host's own frames above the script's."""
    try:
        parts = []
        link = ""
        for _ in range(MOST_CAUSES):
            parts.append(one_traceback(error) + link)
            if error.__cause__ is not None:
                error = error.__cause__
                link = "\nThe above exception was the direct cause of the following exception:\n\n"
            elif error.__context__ is not None and not error.__suppress_context__:
                error = error.__context__
                link = "\nDuring handling of the above exception, another exception occurred:\n\n"
            else:
                break
        return cut("".join(reversed(parts)), LONGEST_TRACEBACK)
    except Exception:
        return "%s (its traceback cannot be shown)" % type(error).__name__


def one_traceback(error):
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith("<sallyport_host"):
        frames = frames.tb_next
    lines = ["Traceback (most recent call last):\n"]
    lines += traceback.format_tb(frames, MOST_FRAMES)
    # A recursion may have millions of frames: they are counted, not formatted.
    count, frame = 0, frames
    while frame is not None:
        count, frame = count + 1, frame.tb_next
    if count > MOST_FRAMES:
        skipped = max(0, count - 2 * MOST_FRAMES)
        if skipped:
            lines.append("  [%d more frames]\n" % skipped)
        last = frames
        for _ in range(MOST_FRAMES + skipped):
            last = last.tb_next
        lines += traceback.format_tb(last)
    return "".join(lines + traceback.format_exception_only(type(error), error))


def cut(text, longest=LONGEST_MESSAGE):
    """The beginning and the end: the end of a traceback says what happened."""
    if len(text) <= longest:
        return text
    head = longest // 4
    return "%s\n[%d characters left out]\n%s" % (text[:head], len(text) - longest, text[head - longest :])
