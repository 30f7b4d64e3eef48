//! Answers that the client does not read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a client may take nothing of its answer before the connection is closed: it would keep a place for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client has to take in a second while the answer waits for it, bytes: one that takes a byte now and then is none
/// that reads.
const SLOWEST: u64 = 1024;

/// A connection that ends where the client does not read.
#[derive(Debug)]
pub(super) struct Unread<T> {
    io: T,
    patience: Duration,
    /// When it ends, while an answer waits for the client.
    end: Option<Pin<Box<Sleep>>>,
}

impl<T> Unread<T> {
    pub(super) fn new(io: T) -> Self {
        Self { io, patience: PATIENCE, end: None }
    }
}

impl<T: AsyncWrite + Unpin> Unread<T> {
    /// What came of a write: an answer that waits has so long from now on, and longer for what was taken of it.
    fn watched<R>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<R>>,
        bytes: impl Fn(&R) -> u64,
    ) -> Poll<io::Result<R>> {
        match written {
            Poll::Pending => {
                let (now, patience) = (Instant::now(), self.patience);
                let end = self.end.get_or_insert_with(|| Box::pin(sleep_until(now + patience)));
                ready!(end.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Ready(Ok(result)) => {
                if let Some(end) = &mut self.end {
                    let more = Duration::from_millis(bytes(&result).saturating_mul(1000) / SLOWEST);
                    let latest = Instant::now() + self.patience;
                    let later = (end.deadline() + more).min(latest);
                    end.as_mut().reset(later);
                }
                Poll::Ready(Ok(result))
            }
            failed => failed,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Unread<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Unread<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.watched(cx, written, |written| *written as u64)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bytes);
        self.watched(cx, written, |written| *written as u64)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// Called when an answer is written: nothing waits for the client any more.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        if flushed.is_ready() {
            self.end = None;
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::sleep;

    use super::*;

    const PIECE: usize = 4096;

    fn unread<T>(io: T, patience_ms: u64) -> Unread<T> {
        Unread { patience: Duration::from_millis(patience_ms), ..Unread::new(io) }
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_loses_its_connection() {
        let (ours, _theirs) = duplex(PIECE);
        let (mut ours, began) = (unread(ours, 200), Instant::now());
        ours.write_all(&[0; PIECE]).await.unwrap();
        let error = ours.write_all(&[0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= Duration::from_millis(200));
    }

    #[tokio::test]
    async fn a_client_that_reads_a_byte_now_and_then_loses_it_too() {
        let (ours, mut theirs) = duplex(PIECE);
        let reading = tokio::spawn(async move {
            while theirs.read_u8().await.is_ok() {
                sleep(Duration::from_millis(20)).await;
            }
        });
        let error = unread(ours, 300).write_all(&[0; 1 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        reading.abort();
    }

    #[tokio::test]
    async fn a_client_that_reads_slowly_gets_all_of_it() {
        let (ours, mut theirs) = duplex(PIECE);
        let reading = tokio::spawn(async move {
            let (mut count, mut piece) = (0, [0; PIECE]);
            while count < 64 * PIECE {
                count += theirs.read(&mut piece).await.unwrap();
                sleep(Duration::from_millis(10)).await;
            }
        });
        // A whole piece is worth 4 s.
        let mut ours = unread(ours, 2000);
        ours.write_all(&[0; 64 * PIECE]).await.unwrap();
        ours.flush().await.unwrap();
        reading.await.unwrap();
    }

    #[tokio::test]
    async fn an_answer_that_comes_now_and_then_has_all_the_time() {
        let (ours, mut theirs) = duplex(PIECE);
        let mut ours = unread(ours, 20);
        for _ in 0..5 {
            ours.write_all(b"event").await.unwrap();
            ours.flush().await.unwrap();
            sleep(Duration::from_millis(60)).await;
            theirs.read_exact(&mut [0; 5]).await.unwrap();
        }
    }
}
