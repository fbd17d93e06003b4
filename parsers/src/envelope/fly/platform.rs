//! Lines of an `app` that the app did not write: its machine's init, kernel and monitor share its output.
//!
//! ```text
//!  INFO Starting init (commit: 3040ac0)...                                           init
//! 2026/05/11 14:58:44 INFO SSH listening listen_address=[fdaa::2]:22                 init's SSH server
//! [  302.420960] reboot: Restarting system                                           the kernel
//! 2026-05-11T14:58:42.710332740 [01KRBRQ6EJ4MG3QBAQ3RYFHKR3:main] Running Firecracker v1.14.4
//! ```

use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::{tag, take_till1, take_while, take_while_m_n, take_while1},
    combinator::value,
    sequence::{delimited, preceded, terminated},
};

/// The level word of a line that the platform wrote, empty if it has none; `None` for a line of the app.
pub(super) fn said(line: &[u8]) -> Option<&[u8]> {
    alt((init, ssh_server, kernel, monitor)).parse(line).ok().map(|(_, level)| level)
}

fn level(input: &[u8]) -> IResult<&[u8], &[u8]> {
    terminated(alt((tag("INFO"), tag("WARN"), tag("ERROR"), tag("DEBUG"))), tag(" ")).parse(input)
}

/// The level is aligned to the right; of errors, which fill it, only the last words of init are its own beyond doubt.
fn init(input: &[u8]) -> IResult<&[u8], &[u8]> {
    alt((preceded(tag(" "), level), terminated(tag("ERROR"), tag(" Error: ")))).parse(input)
}

fn ssh_server(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let date = (digits(4), tag("/"), digits(2), tag("/"), digits(2));
    let time = (digits(2), tag(":"), digits(2), tag(":"), digits(2));
    preceded((date, tag(" "), time, tag(" ")), level).parse(input)
}

/// Seconds since boot with six decimals; copies of the text may have lost some of the blanks before them.
fn kernel(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let seconds = (take_while(|byte| byte == b' '), take_while1(|byte: u8| byte.is_ascii_digit()));
    value(&b""[..], delimited(tag("["), (seconds, tag("."), digits(6)), tag("] "))).parse(input)
}

fn monitor(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let time =
        (digits(4), tag("-"), digits(2), tag("-"), digits(2), tag("T"), take_till1(|byte| byte == b' '));
    let id = take_while1(|byte: u8| byte.is_ascii_alphanumeric());
    let thread = take_till1(|byte| byte == b']' || byte == b' ');
    let (rest, _) = (time, tag(" ["), id, tag(":"), thread, tag("] ")).parse(input)?;
    Ok((rest, b""))
}

fn digits<'a>(count: usize) -> impl Parser<&'a [u8], Output = &'a [u8], Error = nom::error::Error<&'a [u8]>> {
    take_while_m_n(count, count, |byte: u8| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_init_kernel_and_monitor() {
        for (line, level) in [
            (" INFO Starting init (commit: 3040ac0)...", "INFO"),
            (" WARN could not unmount /rootfs: EINVAL: Invalid argument", "WARN"),
            ("ERROR Error: failed to spawn command: /scripts/run.sh", "ERROR"),
            (" ERROR Error: failed to spawn command: /scripts/run.sh", "ERROR"),
            ("2026/05/11 14:58:44 INFO SSH listening listen_address=[fdaa::2]:22", "INFO"),
            ("2026/03/07 15:18:23 ERROR unexpected error", "ERROR"),
            ("[  302.420960] reboot: Restarting system", ""),
            ("[ 0.035736] PCI: Fatal: No config space access function found", ""),
            ("[399964.080915] reboot: Restarting system", ""),
            (
                "2026-05-11T14:58:42.710332740 [01KRBRQ6EJ4MG3QBAQ3RYFHKR3:main] Running Firecracker v1.14.4",
                "",
            ),
        ] {
            assert_eq!(said(line.as_bytes()), Some(level.as_bytes()), "{line}");
        }
    }

    #[test]
    fn lines_of_the_app() {
        for line in [
            "",
            " ",
            "INFO: Shutting down",
            "ERROR something",
            " INFORMATION x",
            "[2026-05-11 14:58:48 INF] Hangfire",
            "[error] x",
            "14:58:44.102 [info] x",
            "2026/05/11 14:58:44 [error] 7#7: *1 open() failed",
            "2026-05-11T14:58:42Z [info] x",
        ] {
            assert_eq!(said(line.as_bytes()), None, "{line}");
        }
    }
}
