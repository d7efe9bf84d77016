/** Wall clocks of IANA time zones, by the tables of the JavaScript runtime. */

export interface LocalTime {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
}

export interface TimeZone {
  local(epochMs: number): LocalTime;
  /** The first moment of a local day; `day` may be past the end of the month. */
  startOfDay(year: number, month: number, day: number): number;
  /** `+02:00`, or `Z`. */
  offset(epochMs: number): string;
}

/** Throws `RangeError` for a name nobody knows. */
export function timeZone(name: string): TimeZone {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  });
  function local(epochMs: number): LocalTime {
    const values: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(epochMs)) values[type] = Number(value);
    return {
      year: values['year'] ?? 0,
      month: values['month'] ?? 0,
      day: values['day'] ?? 0,
      hour: values['hour'] ?? 0,
      minute: values['minute'] ?? 0,
    };
  }
  function offsetMs(epochMs: number): number {
    const { year, month, day, hour, minute } = local(epochMs);
    return Date.UTC(year, month - 1, day, hour, minute) - Math.floor(epochMs / 60_000) * 60_000;
  }
  return {
    local,
    startOfDay(year, month, day) {
      const midnight = Date.UTC(year, month - 1, day);
      const wanted = new Date(midnight);
      // Offsets before and after: the earlier moment that shows this day. Where midnight is skipped, the day begins when clocks have jumped.
      const guesses = [midnight - offsetMs(midnight - 86_400_000), midnight - offsetMs(midnight + 86_400_000)].sort((a, b) => a - b);
      const shows = (at: number): boolean => {
        const shown = local(at);
        return shown.year === wanted.getUTCFullYear() && shown.month === wanted.getUTCMonth() + 1 && shown.day === wanted.getUTCDate();
      };
      return guesses.find(shows) ?? guesses[1] ?? midnight;
    },
    offset(epochMs) {
      const minutes = Math.round(offsetMs(epochMs) / 60_000);
      if (minutes === 0) return 'Z';
      const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
      return `${minutes < 0 ? '-' : '+'}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`;
    },
  };
}

/** RFC 3339 with the zone's wall clock. */
export function zonedTimestamp(epochMs: number, zone: TimeZone): string {
  const { year, month, day, hour, minute } = zone.local(epochMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  const seconds = Math.floor(epochMs / 1000) % 60;
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:${two(seconds)}${zone.offset(epochMs)}`;
}
