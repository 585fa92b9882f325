//! Gzip data of any number of members. Zeros after the last one are padding, as for `gzip` itself:
//! tapes and archives fill their last block with them.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// Reads the members one after the other.
pub(super) struct Members<R: BufRead> {
    /// None after the last one.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    /// Of data that begin with a member.
    pub(super) fn new(raw: R) -> Self {
        Members { member: Some(GzDecoder::new(raw)) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let n = member.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            let mut rest = self.member.take().expect("the member should be there: it was just read").into_inner();
            // What follows and is no padding must be another member: its header is checked.
            self.member = skip_zeros(&mut rest)?.then(|| GzDecoder::new(rest));
        }
        Ok(0)
    }
}

/// Skips zeros. False when nothing is left behind them.
fn skip_zeros(rest: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let ahead = rest.fill_buf()?;
        let (n_ahead, n_zeros) = (ahead.len(), ahead.iter().take_while(|&&byte| byte == 0).count());
        rest.consume(n_zeros);
        if n_ahead == 0 || n_zeros < n_ahead {
            return Ok(n_ahead > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn member(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: Vec<u8>) -> io::Result<String> {
        let mut text = String::new();
        // A small buffer, so that the zeros end within one and at the end of one.
        Members::new(io::BufReader::with_capacity(7, Cursor::new(bytes))).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn members_follow_each_other_and_zeros_are_padding() {
        for n_zeros in [0, 1, 7, 512] {
            let zeros = vec![0; n_zeros];
            assert_eq!(read([member("1,2\n"), zeros.clone()].concat()).unwrap(), "1,2\n");
            assert_eq!(
                read([member("1,"), zeros.clone(), member(""), member("2\n"), zeros].concat()).unwrap(),
                "1,2\n"
            );
        }
    }

    #[test]
    fn what_is_no_member_is_refused() {
        assert!(read([member("1,2\n"), vec![0, 0], b"more".to_vec()].concat()).is_err());
        let cut = member("1,2\n");
        assert!(read(cut[..cut.len() - 3].to_vec()).is_err());
    }
}
