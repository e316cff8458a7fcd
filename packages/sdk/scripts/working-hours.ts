/**
 * Lets people in at certain hours of the week.
 *
 * Whoever is connected when the hours end is put out at the next reauthentication (reneg-sec, an hour unless set).
 */
import { allow, definePostAuth, deny } from "@sallyport/sdk";

const weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;

const settings = {
  /** By day of the week, several apart by commas; those that end before they begin, end on the next day. */
  hours: {
    mon: "07:00-19:00",
    tue: "07:00-19:00",
    wed: "07:00-19:00",
    thu: "07:00-19:00",
    fri: "07:00-19:00",
  } as Record<string, string>,
  /** In which the hours are meant: Europe/Berlin, America/New_York, … */
  timeZone: "UTC",
  /** Days without any, as 2026-12-25. */
  holidays: [] as string[],
  /** Groups that are let in at all hours. */
  exceptGroups: [] as string[],
  /** What people read. */
  closed: "This VPN is closed at this hour.",
};

export default definePostAuth({ settings, checkSettings }, (request, ctx) => {
  const { closed, exceptGroups } = ctx.settings;
  if (exceptGroups.includes(request.properties.conn_group ?? "")) return allow();
  const now = new Date();
  if (isOpen(now, ctx.settings)) return allow();
  const { timeZone } = ctx.settings;
  const time = new Intl.DateTimeFormat("en-GB", { timeZone, weekday: "short", hour: "2-digit", minute: "2-digit" });
  return deny({ reason: `outside of the hours: ${time.format(now)} in ${timeZone}`, clientReason: closed });
});

type Schedule = Pick<typeof settings, "hours" | "timeZone" | "holidays">;

export function isOpen(at: Date, schedule: Schedule): boolean {
  const { day, minutes } = localTime(at, schedule.timeZone);
  const dayMs = 24 * 60 * 60_000;
  const yesterday = new Date(Date.parse(`${day}T00:00:00Z`) - dayMs).toISOString().slice(0, 10);
  const today = rangesOf(day, schedule).some(
    ([from, to]) => minutes >= from && minutes < (to > from ? to : lastMinute),
  );
  return today || rangesOf(yesterday, schedule).some(([from, to]) => to <= from && minutes < to);
}

const lastMinute = 24 * 60;

function localTime(at: Date, timeZone: string): { day: string; minutes: number } {
  const parts = new Intl.DateTimeFormat("en-CA", {
    timeZone,
    hourCycle: "h23",
    ...{ year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" },
  }).formatToParts(at);
  const { year, month, day, hour, minute } = Object.fromEntries(parts.map(({ type, value }) => [type, value]));
  return { day: `${year}-${month}-${day}`, minutes: Number(hour) * 60 + Number(minute) };
}

/** The hours that begin on a day, in minutes from its midnight. */
function rangesOf(day: string, { hours, holidays }: Schedule): [from: number, to: number][] {
  const weekday = weekdays[new Date(`${day}T00:00:00Z`).getUTCDay()] ?? "sun";
  const text = hours[weekday] ?? "";
  if (text === "" || holidays.includes(day)) return [];
  return text.split(",").map(readRange);
}

function readRange(text: string): [from: number, to: number] {
  const [, ...numbers] = /^\s*(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d)\s*$/.exec(text) ?? [];
  const [fromHour = 99, fromMinute = 0, toHour = 99, toMinute = 0] = numbers.map(Number);
  const [from, to] = [fromHour * 60 + fromMinute, toHour * 60 + toMinute];
  if (Math.max(fromMinute, toMinute) > 59 || Math.max(from, to) > lastMinute) {
    throw new Error(`${JSON.stringify(text)} are no hours, like "08:00-18:00"`);
  }
  return [from, to];
}

function checkSettings({ hours, timeZone, holidays }: typeof settings): void {
  for (const [day, text] of Object.entries(hours)) {
    if (!weekdays.some((weekday) => weekday === day)) {
      throw new Error(`${JSON.stringify(day)} is no day; there are ${weekdays.join(", ")}`);
    }
    if (text !== "") text.split(",").map(readRange);
  }
  for (const day of holidays) {
    if (!/^\d{4}-\d\d-\d\d$/.test(day)) throw new Error(`${JSON.stringify(day)} is no day, like "2026-12-25"`);
  }
  localTime(new Date(), timeZone);
}
